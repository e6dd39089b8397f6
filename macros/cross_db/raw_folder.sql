{#-
  At the start of a run: shows the raw data as the tables of schema raw. On DuckDB the connection comes with them
  (tools/raw_files.py), on PostgreSQL they are what was loaded. On Spark they are folders of files
  (tools/load_spark.py): tables are made of them where another load is there than the last time. With SPARK_RAW=none
  nothing is done: then the raw tables are made by somebody else.
-#}
{% macro show_raw_folder() %}{{ return(adapter.dispatch('show_raw_folder', 'user_segments')()) }}{% endmacro %}

{% macro default__show_raw_folder() %}{% endmacro %}

{% macro spark__show_raw_folder() %}
    {%- set folder = env_var('SPARK_RAW', '') or env_var('SPARK_WAREHOUSE', 'spark-warehouse') ~ '/raw' -%}
    {%- if execute and folder != 'none' -%}
        {%- set said = run_query('select load, complete, landing, shows_the_sample, shape, tables, zone, place from json.`'
            ~ folder ~ '/landing.json`').rows[0] -%}
        {%- if not said[1] -%}
            {%- do exceptions.raise_compiler_error('SPARK_RAW: a load died in ' ~ folder ~ '; run make load again') -%}
        {%- endif -%}
        {%- if said[6] != var('timezone') -%}
            {%- do exceptions.raise_compiler_error(
                'SPARK_RAW: ' ~ folder ~ " was loaded with days of the time zone '" ~ said[6] ~ "'; load it with --vars, too"
            ) -%}
        {%- endif -%}
        {%- do run_each(['create schema if not exists raw', 'create schema if not exists runs']) -%}
        {%- set landing = api.Relation.create(schema='raw', identifier='landing') -%}
        {%- set known = run_query('select load, shape from ' ~ landing).rows[0] if is_there(landing) else [none, none] -%}
        {%- if known[0] != said[0] -%}
            {%- for table in said[5].split() + ['raw.events'] -%}
                {%- if known[1] == said[4] -%}
                    {%- do run_each(['refresh table ' ~ table]) -%}
                {%- else -%}
                    {%- do run_each([
                        'drop table if exists ' ~ table,
                        'create table ' ~ table ~ " using parquet location '" ~ said[7] ~ '/' ~ table.split('.')[1] ~ "'",
                    ]) -%}
                {%- endif -%}
            {%- endfor -%}
            {%- do run_each([
                'msck repair table raw.events sync partitions',
                "create or replace view raw.landing as select '" ~ said[0] ~ "' as load, '" ~ said[4] ~ "' as shape, '"
                ~ said[2] ~ "' as landing, " ~ said[3] ~ ' as shows_the_sample',
            ]) -%}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}
