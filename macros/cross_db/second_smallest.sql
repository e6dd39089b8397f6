{#-
  The second smallest value of a group, null where there is just one; for aggregating over distinct values.
  A window that ranks them would sort every row; DuckDB keeps the two in passing. PostgreSQL and Spark have to collect
  and sort.
-#}
{% macro second_smallest(expression) %}{{ return(adapter.dispatch('second_smallest', 'user_segments')(expression)) }}{% endmacro %}

{% macro default__second_smallest(expression) -%}
    min({{ expression }}, 2)[2]
{%- endmacro %}
