{#-
  A floating number of eight bytes. DuckDB and Spark call it double, PostgreSQL double precision; dbt.type_float() is
  four bytes on DuckDB, too few for a share.
-#}
{% macro type_double() %}{{ return(adapter.dispatch('type_double', 'user_segments')()) }}{% endmacro %}

{% macro default__type_double() -%}
    double
{%- endmacro %}
