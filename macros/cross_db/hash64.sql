{#-
  A 64-bit hash of one value; null for null. Each engine has one of its own, and no two agree: never store one where
  it is read outside the warehouse, never compare it across engines. PostgreSQL's hashes of numbers and times keep 32 bits of them, whatever the
  length of the hash: the text of a value is hashed there.
-#}
{% macro hash64(expression) %}{{ return(adapter.dispatch('hash64', 'user_segments')(expression)) }}{% endmacro %}

{% macro default__hash64(expression) -%}
    case when {{ expression }} is not null then hash({{ expression }}) end
{%- endmacro %}

{% macro postgres__hash64(expression) -%}
    hashtextextended(cast({{ expression }} as text), 0)
{%- endmacro %}

{% macro spark__hash64(expression) -%}
    case when {{ expression }} is not null then xxhash64({{ expression }}) end
{%- endmacro %}
