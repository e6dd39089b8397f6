{#-
  Every day from one date to another, both included, as a column of a select list; no row where a date is null. Each
  engine has its own function for a series: DuckDB and PostgreSQL give timestamps, but only DuckDB has to unnest a list;
  Spark explodes a sequence of dates.
-#}
{% macro days_from_to(first_day, last_day) %}{{ return(adapter.dispatch('days_from_to', 'user_segments')(first_day, last_day)) }}{% endmacro %}

{% macro default__days_from_to(first_day, last_day) -%}
    cast(unnest(generate_series({{ first_day }}, {{ last_day }}, interval 1 day)) as date)
{%- endmacro %}
