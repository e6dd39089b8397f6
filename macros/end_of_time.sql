{#- The first day no more of what is true until now. A date, where null would need a case in every comparison. -#}
{% macro end_of_time() -%}
    cast('9999-12-31' as date)
{%- endmacro %}
