{#- The date so many days after another one (before it, for a negative number). Only Spark spells it otherwise. -#}
{% macro days_after(day, days) %}{{ return(adapter.dispatch('days_after', 'user_segments')(day, days)) }}{% endmacro %}

{% macro default__days_after(day, days) -%}
    {{ day }} + {{ days }}
{%- endmacro %}

{% macro spark__days_after(day, days) -%}
    date_add({{ day }}, {{ days }})
{%- endmacro %}
