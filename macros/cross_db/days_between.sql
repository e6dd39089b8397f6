{#- Whole days from one date to another: 0 on the same day, 1 on the next. Only Spark spells it otherwise. -#}
{% macro days_between(earlier, later) %}{{ return(adapter.dispatch('days_between', 'user_segments')(earlier, later)) }}{% endmacro %}

{% macro default__days_between(earlier, later) -%}
    cast({{ later }} - ({{ earlier }}) as integer)
{%- endmacro %}

{% macro spark__days_between(earlier, later) -%}
    datediff({{ later }}, {{ earlier }})
{%- endmacro %}
