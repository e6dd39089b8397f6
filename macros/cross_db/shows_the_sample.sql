{#-
  Whether the events are those of seeds/sample. DuckDB's connection comes with tools/raw_files.py, which shows them
  where RAW_DATA is not set; on a server the raw tables are what somebody loaded into it, whatever RAW_DATA says now: tools/load.py notes it.
-#}
{% macro shows_the_sample() %}{{ return(adapter.dispatch('shows_the_sample', 'user_segments')()) }}{% endmacro %}

{% macro default__shows_the_sample() %}
    {{ return(not env_var('RAW_DATA', '')) }}
{% endmacro %}

{% macro postgres__shows_the_sample() %}
    {%- set landing = api.Relation.create(database=target.database, schema='raw', identifier='landing') -%}
    {{ return(
        execute and load_relation(landing) is not none
        and run_query('select coalesce(bool_or(shows_the_sample), false) from raw.landing').rows[0][0]
    ) }}
{% endmacro %}

{% macro spark__shows_the_sample() %}
    {{ return(execute and run_query('select bool_or(shows_the_sample) from raw.landing').rows[0][0]) }}
{% endmacro %}
