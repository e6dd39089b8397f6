{#-
  The SHA-256 of a text as 64 lower-case hexadecimal digits; null for null. The same on every engine, but each spells it
  in its own way: PostgreSQL hashes bytes and gives bytes, Spark's function wants to know which SHA-2.
-#}
{% macro sha256_of(expression) %}{{ return(adapter.dispatch('sha256_of', 'user_segments')(expression)) }}{% endmacro %}

{% macro default__sha256_of(expression) -%}
    sha256({{ expression }})
{%- endmacro %}

{% macro postgres__sha256_of(expression) -%}
    encode(sha256(convert_to({{ expression }}, 'UTF8')), 'hex')
{%- endmacro %}

{% macro spark__sha256_of(expression) -%}
    sha2({{ expression }}, 256)
{%- endmacro %}
