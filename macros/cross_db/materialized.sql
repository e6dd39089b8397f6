{#-
  Written before the parenthesis of a CTE that is to be computed in full before it is read: `as {{ materialized() }} (`.
  DuckDB writes a table from a union of many selects with one thread most of the time, and from a materialized one
  with all of them (2.7M rows: 1.7 s in place of 3.3 s). PostgreSQL knows the word, Spark does not.
-#}
{% macro materialized() %}{{ return(adapter.dispatch('materialized', 'user_segments')()) }}{% endmacro %}

{% macro default__materialized() -%}
    materialized
{%- endmacro %}
