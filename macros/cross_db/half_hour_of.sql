{#- The number of the half hour (since 1970, UTC) that a timestamp lies in. Every engine has its own epoch function. -#}
{% macro half_hour_of(expression) %}{{ return(adapter.dispatch('half_hour_of', 'user_segments')(expression)) }}{% endmacro %}

{% macro default__half_hour_of(expression) -%}
    cast(epoch_us({{ expression }}) // 1800000000 as integer)
{%- endmacro %}
