{#-
  A 64-bit hash of several values together; a null is a value like any other, and the hash never null. As for hash64,
  each engine has one of its own, and no two agree.
-#}
{% macro hash64_of_all(expressions) %}{{ return(adapter.dispatch('hash64_of_all', 'user_segments')(expressions)) }}{% endmacro %}

{% macro default__hash64_of_all(expressions) -%}
    hash({{ expressions | join(', ') }})
{%- endmacro %}
