{#-
  Takes rows out of a table: those for which a condition is true. DuckDB and PostgreSQL have a statement for it. Parquet
  on Spark has none, files are only ever written whole: of a table that lies in a folder a day, the days that have such
  rows are written again without them, from a copy, since a killed run may leave none of the day there; any other table
  is written again beside, and takes the place of the old one (replace_rows). That is done while the hook is rendered,
  and nothing is left for dbt to run. A run that is killed there leaves each day, and each table, as it was, or
  finish_replacements() makes it at the next start what it was to be.
-#}
{% macro delete_rows(relation, condition) %}{{ return(adapter.dispatch('delete_rows', 'user_segments')(relation, condition)) }}{% endmacro %}

{% macro default__delete_rows(relation, condition) -%}
    delete from {{ relation }} where {{ condition }}
{%- endmacro %}

{% macro spark__delete_rows(relation, condition) -%}
    {%- if execute -%}
        {%- set table = described(relation) -%}
        {%- set columns = table.columns.keys() | join(', ') -%}
        {%- if not table.partition_by -%}
            {%- if run_query('select 1 as one from ' ~ relation ~ ' where ' ~ condition ~ ' limit 1').rows -%}
                {%- do replace_rows(
                    relation, 'select ' ~ columns ~ ' from ' ~ relation ~ ' where (' ~ condition ~ ') is not true'
                ) -%}
            {%- endif -%}
        {%- else -%}
            {%- set day = table.partition_by -%}
            {%- set touched = days_of('select ' ~ day ~ ' from ' ~ relation ~ ' where ' ~ condition) -%}
            {%- if touched -%}
                {%- set left = 'select ' ~ columns ~ ' from ' ~ relation ~ ' where ' ~ day ~ ' in '
                    ~ day_list(touched) ~ ' and (' ~ condition ~ ') is not true' -%}
                {%- set kept = days_of('select ' ~ day ~ ' from (' ~ left ~ ')') -%}
                {%- if kept -%}
                    {%- set beside = relation.incorporate(path={'identifier': relation.identifier ~ '__kept'}) -%}
                    {%- do run_query('drop table if exists ' ~ beside) -%}
                    {%- do run_query('create table ' ~ beside ~ " using parquet location 'tables/" ~ beside.identifier
                        ~ "' as " ~ left) -%}
                    {%- do write_kept_rows(relation, beside) -%}
                {%- endif -%}
                {%- do empty_days(relation, table, touched | reject('in', kept) | list) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{#- On Spark: writes what stays of some days over these, and removes the copy from which that is read. -#}
{% macro write_kept_rows(relation, kept) %}
    {%- set table = described(relation) -%}
    {%- set folder = described(kept).location -%}
    {#- Of these days alone: so profiles.yml sets it. Here it could not be set: other models use the session, too. -#}
    {%- do run_each([
        'insert overwrite table ' ~ relation ~ ' partition (' ~ table.partition_by ~ ') select '
        ~ table.columns.keys() | join(', ') ~ ' from ' ~ kept ~ ' distribute by ' ~ table.partition_by,
        'drop table ' ~ kept,
    ]) -%}
    {%- do empty_folder(folder) -%}
{% endmacro %}

{#- The pre-hook of a stored model that keeps whole days: takes out all rows of the days that a query gives. -#}
{% macro delete_days(days) %}{{ return(adapter.dispatch('delete_days', 'user_segments')(days)) }}{% endmacro %}

{% macro default__delete_days(days) -%}
    {{ delete_rows(this, 'event_date in (' ~ days ~ ')') }}
{%- endmacro %}

{% macro spark__delete_days(days) -%}
    {%- if execute -%}
        {%- set table = described(this) -%}
        {%- set there = [] -%}
        {%- for row in run_query('show partitions ' ~ this).rows -%}
            {%- do there.append(row[0].split('=')[1]) -%}
        {%- endfor -%}
        {%- do empty_days(this, table, days_of(days) | select('in', there) | list, there | length) -%}
    {%- endif -%}
{%- endmacro %}

{#-
  The pre-hook of a stored model whose rows are of a state: takes out those for which a condition is true; the model
  then writes what is missing. On Spark, which may be killed between the files of what is written, the table is marked
  until it is whole; one that is still marked when the next run starts is built anew
  (drop_stored_models_of_another_version).
-#}
{% macro delete_stale_rows(condition) %}{{ return(adapter.dispatch('delete_stale_rows', 'user_segments')(condition)) }}{% endmacro %}

{% macro default__delete_stale_rows(condition) -%}
    {{ delete_rows(this, condition) }}
{%- endmacro %}

{% macro spark__delete_stale_rows(condition) -%}
    {%- if execute -%}
        {%- do delete_rows(this, condition) -%}
        {%- do mark_unfinished(this, true) -%}
    {%- endif -%}
{%- endmacro %}

{% macro mark_unfinished(relation, is_unfinished) -%}
    {%- do run_query("alter table " ~ relation ~ " set tblproperties ('user_segments.unfinished' = '"
        ~ (is_unfinished | lower) ~ "')") -%}
{%- endmacro %}

{#- Whether a run was killed while it wrote this table, so that nobody knows what is in it. Only Spark's can be. -#}
{% macro is_unfinished(relation) %}{{ return(adapter.dispatch('is_unfinished', 'user_segments')(relation)) }}{% endmacro %}

{% macro default__is_unfinished(relation) %}{{ return(false) }}{% endmacro %}

{% macro spark__is_unfinished(relation) %}
    {%- for row in run_query('show tblproperties ' ~ relation).rows if row[0] == 'user_segments.unfinished' -%}
        {{ return(row[1] | string | lower == 'true') }}
    {%- endfor -%}
    {{ return(false) }}
{% endmacro %}

{#-
  On Spark: the columns of a table and their types, the one that its folders are by (none: it has none), where it is.
-#}
{% macro described(relation) %}
    {%- set found = {'columns': {}, 'partition_by': none, 'location': none} -%}
    {%- set part = namespace(name='columns') -%}
    {%- for row in run_query('describe table extended ' ~ relation).rows -%}
        {%- if row[0].startswith('# ') -%}
            {%- set part.name = row[0] if row[0] != '# col_name' else part.name -%}
        {%- elif part.name == 'columns' and row[0] -%}
            {%- do found.columns.update({row[0]: row[1]}) -%}
        {%- elif part.name == '# Partition Information' and row[0] -%}
            {%- do found.update({'partition_by': row[0]}) -%}
        {%- elif row[0] == 'Location' -%}
            {%- do found.update({'location': row[1]}) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found) }}
{% endmacro %}

{#- On Spark: the days of a query, each once, as texts. -#}
{% macro days_of(query) %}
    {%- set found = [] -%}
    {%- for row in run_query('select distinct * from (' ~ query ~ ') order by 1').rows -%}
        {%- do found.append(row[0] | string) -%}
    {%- endfor -%}
    {{ return(found) }}
{% endmacro %}

{% macro day_list(days) -%}
    (date '{{ days | join("', date '") }}')
{%- endmacro %}

{#-
  On Spark: writes nothing over whole days. Where these are all that the table has (`of` says how many it has), it is made
  again, empty: a run that is killed before leaves none, and the next one builds all days anyway.
-#}
{% macro empty_days(relation, table, days, of=none) %}
    {%- if days and days | length == of -%}
        {%- set columns = [] -%}
        {%- for name, type in table.columns.items() -%}
            {%- do columns.append(name ~ ' ' ~ type) -%}
        {%- endfor -%}
        {%- do run_query('drop table ' ~ relation) -%}
        {%- do empty_folder(table.location) -%}
        {%- do run_query('create table ' ~ relation ~ ' (' ~ columns | join(', ') ~ ') using parquet partitioned by ('
            ~ table.partition_by ~ ") location '" ~ table.location ~ "'") -%}
    {%- else -%}
        {%- set nothing = [] -%}
        {%- for name, type in table.columns.items() if name != table.partition_by -%}
            {%- do nothing.append('cast(null as ' ~ type ~ ') as ' ~ name) -%}
        {%- endfor -%}
        {%- for day in days -%}
            {%- do run_query('insert overwrite table ' ~ relation ~ ' partition (' ~ table.partition_by ~ " = date '"
                ~ day ~ "') select " ~ nothing | join(', ') ~ ' where 1 = 0') -%}
        {%- endfor -%}
    {%- endif -%}
{% endmacro %}
