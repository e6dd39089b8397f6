{#-
  The month of a date as text, 2024-02. A function that formats dates has a name, and letters for the format, of its own
  on each engine (strftime, to_char, date_format); a date written as text begins with its month on all of them.
-#}
{% macro month_of(day) -%}
    substr(cast({{ day }} as {{ dbt.type_string() }}), 1, 7)
{%- endmacro %}
