{#-
  The number of the half hour (since 1970, UTC) that a timestamp lies in. Every engine has its own epoch function.
  DuckDB's // cuts towards 0, and would make one half hour of the two around 1970: it is counted from 40 million half
  hours before, which is before the year 1.
-#}
{% macro half_hour_of(expression) %}{{ return(adapter.dispatch('half_hour_of', 'user_segments')(expression)) }}{% endmacro %}

{% macro default__half_hour_of(expression) -%}
    cast((epoch_us({{ expression }}) + 72000000000000000) // 1800000000 - 40000000 as integer)
{%- endmacro %}

{% macro postgres__half_hour_of(expression) -%}
    cast(floor(extract(epoch from {{ expression }}) / 1800) as integer)
{%- endmacro %}

{% macro spark__half_hour_of(expression) -%}
    cast(floor(unix_seconds({{ expression }}) / 1800) as integer)
{%- endmacro %}
