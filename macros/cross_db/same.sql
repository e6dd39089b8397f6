{#- Equal, or both null. `is not distinct from` is hashed by DuckDB and Spark (as <=>), but not by PostgreSQL. -#}
{% macro same(left, right) %}{{ return(adapter.dispatch('same', 'user_segments')(left, right)) }}{% endmacro %}

{% macro default__same(left, right) -%}
    {{ left }} is not distinct from {{ right }}
{%- endmacro %}
