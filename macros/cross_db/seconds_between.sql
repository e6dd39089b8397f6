{#- Seconds from one timestamp to another, exact to the microsecond. Every engine has its own epoch function. -#}
{% macro seconds_between(earlier, later) %}{{ return(adapter.dispatch('seconds_between', 'user_segments')(earlier, later)) }}{% endmacro %}

{% macro default__seconds_between(earlier, later) -%}
    ((epoch_us({{ later }}) - epoch_us({{ earlier }})) / 1000000.0)
{%- endmacro %}
