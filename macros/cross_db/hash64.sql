{#-
  A 64-bit hash of one value; null for null. Each engine has one of its own, and no two agree: never store one where
  it is read outside the warehouse, never compare it across engines.
-#}
{% macro hash64(expression) %}{{ return(adapter.dispatch('hash64', 'user_segments')(expression)) }}{% endmacro %}

{% macro default__hash64(expression) -%}
    case when {{ expression }} is not null then hash({{ expression }}) end
{%- endmacro %}
