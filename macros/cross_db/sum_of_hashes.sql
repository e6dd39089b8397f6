{#-
  The sum of 64-bit hashes (hash64, hash64_of_all): rows in any order make the same number. An aggregate, before which
  nothing and after which `over (...)` may stand. DuckDB and PostgreSQL add such numbers up in wider ones; Spark's sum of
  them is as wide as they are, and stops where it overflows. Sums are added up, too: they have more digits than a hash.
-#}
{% macro sum_of_hashes(expression) %}{{ return(adapter.dispatch('sum_of_hashes', 'user_segments')(expression)) }}{% endmacro %}

{% macro default__sum_of_hashes(expression) -%}
    sum({{ expression }})
{%- endmacro %}

{% macro spark__sum_of_hashes(expression) -%}
    sum(cast({{ expression }} as decimal(28, 0)))
{%- endmacro %}
