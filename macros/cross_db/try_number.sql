{#- A number of the given type, or null where the text is none. PostgreSQL has no try_cast; Spark's is the same. -#}
{% macro try_number(expression, type) %}{{ return(adapter.dispatch('try_number', 'user_segments')(expression, type)) }}{% endmacro %}

{% macro default__try_number(expression, type) -%}
    try_cast({{ expression }} as {{ type }})
{%- endmacro %}
