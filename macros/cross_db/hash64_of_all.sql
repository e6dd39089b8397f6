{#-
  A 64-bit hash of several values together; a null is a value like any other, and the hash never null. As for hash64,
  each engine has one of its own, and no two agree. PostgreSQL writes a row as text in which a null is no empty text, and
  a comma in a value does not look like one between values.
-#}
{% macro hash64_of_all(expressions) %}{{ return(adapter.dispatch('hash64_of_all', 'user_segments')(expressions)) }}{% endmacro %}

{% macro default__hash64_of_all(expressions) -%}
    hash({{ expressions | join(', ') }})
{%- endmacro %}

{% macro postgres__hash64_of_all(expressions) -%}
    hashtextextended(cast(row({{ expressions | join(', ') }}) as text), 0)
{%- endmacro %}

{#- xxhash64 goes over a null as if nothing stood there: whether there is one is hashed, too. -#}
{% macro spark__hash64_of_all(expressions) -%}
    xxhash64(
        {%- for expression in expressions -%}
        {{ expression }}, {{ expression }} is null{{ ', ' if not loop.last }}
        {%- endfor -%}
    )
{%- endmacro %}
