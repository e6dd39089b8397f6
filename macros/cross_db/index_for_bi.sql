{#-
  The post-hook of marts: indexes on the columns by which BI tools filter, where a mart has them and is a table that has
  none yet. DuckDB knows the least and the greatest value of each piece of a column without one; Spark has none.
-#}
{% macro index_for_bi(mart) %}{{ return(adapter.dispatch('index_for_bi', 'user_segments')(mart)) }}{% endmacro %}

{% macro default__index_for_bi(mart) %}{% endmacro %}

{% macro postgres__index_for_bi(mart) %}
    {%- if execute and mart.config.materialized != 'view' -%}
        {%- set name = api.Relation.create(mart.database, mart.schema, mart.alias) -%}
        {%- set indexed = run_query(
            "select 1 from pg_index where indrelid = to_regclass('" ~ name ~ "')"
        ).rows | length > 0 -%}
        {%- for columns in [['user_id'], ['segment_set', 'segment'], ['as_of_date']]
            if not indexed and columns | reject('in', mart.columns) | list | length == 0 %}
    create index on {{ name }} ({{ columns | join(', ') }});
        {%- endfor -%}
    {%- endif -%}
{% endmacro %}
