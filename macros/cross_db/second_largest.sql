{#-
  The second largest value of a group, null where there is just one; for aggregating over distinct values.
  A window that ranks them would sort every row; DuckDB keeps the two in passing. PostgreSQL and Spark have to collect
  and sort.
-#}
{% macro second_largest(expression) %}{{ return(adapter.dispatch('second_largest', 'user_segments')(expression)) }}{% endmacro %}

{% macro default__second_largest(expression) -%}
    max({{ expression }}, 2)[2]
{%- endmacro %}

{% macro postgres__second_largest(expression) -%}
    (array_agg({{ expression }} order by {{ expression }} desc nulls last))[2]
{%- endmacro %}

{% macro spark__second_largest(expression) -%}
    try_element_at(sort_array(collect_list({{ expression }}), false), 2)
{%- endmacro %}
