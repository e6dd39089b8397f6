{#-
  Whether a day is one of those of a query, of a few days, in what reads events or what is stored by day. DuckDB and
  PostgreSQL find the files and rows of these days themselves. Spark leaves out the folders of other days for certain
  only where the days stand in the SQL: the query is asked first.
-#}
{% macro on_days(column, query) %}{{ return(adapter.dispatch('on_days', 'user_segments')(column, query)) }}{% endmacro %}

{% macro default__on_days(column, query) -%}
    {{ column }} in ({{ query }})
{%- endmacro %}

{% macro spark__on_days(column, query) -%}
    {#- In unit tests there is nothing that could be asked. -#}
    {%- if not execute or '__dbt__cte__' in query -%}
        {{ column }} in ({{ query }})
    {%- else -%}
        {%- set days = days_of(query) -%}
        {{ column ~ ' in ' ~ day_list(days) if days else '1 = 0' }}
    {%- endif -%}
{%- endmacro %}

{#- Whether a day is the first of those of a relation, or later. Where that has no rows, no day is. -#}
{% macro from_first_day(column, relation) -%}
    {{ return(adapter.dispatch('from_first_day', 'user_segments')(column, relation)) }}
{%- endmacro %}

{% macro default__from_first_day(column, relation) -%}
    {{ column }} >= (select min(first_days.event_date) from {{ relation }} as first_days)
{%- endmacro %}

{% macro spark__from_first_day(column, relation) -%}
    {%- if not execute or '__dbt__cte__' in relation | string -%}
        {{ default__from_first_day(column, relation) }}
    {%- else -%}
        {%- set days = days_of('select min(event_date) from ' ~ relation ~ ' having count(*) > 0') -%}
        {{ column ~ " >= date '" ~ days[0] ~ "'" if days else '1 = 0' }}
    {%- endif -%}
{%- endmacro %}

{#-
  A further condition on days, where only Spark has anything of it: others would have to read more than they leave out.
  With `or_none`, rows without a day are wanted, too.
-#}
{% macro and_on_stored_days(column, query, or_none=false) -%}
    {{ return(adapter.dispatch('and_on_stored_days', 'user_segments')(column, query, or_none)) }}
{%- endmacro %}

{% macro default__and_on_stored_days(column, query, or_none) %}{% endmacro %}

{% macro spark__and_on_stored_days(column, query, or_none) -%}
    and {{ '(' ~ on_days(column, query) ~ ' or ' ~ column ~ ' is null)' if or_none else on_days(column, query) }}
{%- endmacro %}

{#- from_first_day() as a further condition, where only Spark has anything of it. -#}
{% macro and_from_first_day(column, relation) -%}
    {{ return(adapter.dispatch('and_from_first_day', 'user_segments')(column, relation)) }}
{%- endmacro %}

{% macro default__and_from_first_day(column, relation) %}{% endmacro %}

{% macro spark__and_from_first_day(column, relation) -%}
    and {{ from_first_day(column, relation) }}
{%- endmacro %}

{#-
  The day of a raw event, of which `column` is the time. On Spark it is the one by which the folders of raw.events are
  made (tools/load_spark.py), in the time zone of the project.
-#}
{% macro stored_day(column) %}{{ return(adapter.dispatch('stored_day', 'user_segments')(column)) }}{% endmacro %}

{% macro default__stored_day(column) -%}
    {{ local_date(try_timestamp(column)) }}
{%- endmacro %}

{% macro spark__stored_day(column) -%}
    event_day
{%- endmacro %}

{#- The same of a collector: as its model gives it (stored_day, documented there), else from event_at. -#}
{% macro stored_day_of(model_name) -%}
    {%- set node = graph.nodes.get('model.' ~ project_name ~ '.' ~ model_name) if execute -%}
    {{ 'stored_day' if node and 'stored_day' in node.columns else local_date('event_at') }}
{%- endmacro %}
