{#-
  A floating number of eight bytes. DuckDB and Spark call it double, PostgreSQL double precision; dbt.type_float() is
  four bytes on DuckDB, too few for a share.
-#}
{% macro type_double() %}{{ return(adapter.dispatch('type_double', 'user_segments')()) }}{% endmacro %}

{% macro default__type_double() -%}
    double
{%- endmacro %}

{% macro postgres__type_double() -%}
    double precision
{%- endmacro %}

{#-
  At the start of a run: dbt translates the types of contracts that are called otherwise on an engine (`string`), by a
  table of its adapters. That of PostgreSQL's lacks `double`.
-#}
{% macro name_types() %}{{ return(adapter.dispatch('name_types', 'user_segments')()) }}{% endmacro %}

{% macro default__name_types() %}{% endmacro %}

{% macro postgres__name_types() %}
    {%- do api.Column.TYPE_LABELS.update({'DOUBLE': type_double()}) -%}
{% endmacro %}
