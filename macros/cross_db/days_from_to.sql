{#-
  Every day from one date to another, both included, as a column of a select list; no row where a date is null. Each
  engine has its own function for a series: DuckDB unnests a list of timestamps; PostgreSQL's own series of timestamps
  goes by the time zone of the session, so that numbers are counted there; Spark explodes a sequence of dates.
-#}
{% macro days_from_to(first_day, last_day) %}{{ return(adapter.dispatch('days_from_to', 'user_segments')(first_day, last_day)) }}{% endmacro %}

{% macro default__days_from_to(first_day, last_day) -%}
    cast(unnest(generate_series({{ first_day }}, {{ last_day }}, interval 1 day)) as date)
{%- endmacro %}

{% macro postgres__days_from_to(first_day, last_day) -%}
    {{ first_day }} + generate_series(0, {{ last_day }} - ({{ first_day }}))
{%- endmacro %}

{#- A sequence that would have to go backwards is an error to Spark, or does go backwards; one of null has no rows. -#}
{% macro spark__days_from_to(first_day, last_day) -%}
    explode(case when {{ first_day }} <= {{ last_day }} then sequence({{ first_day }}, {{ last_day }}) end)
{%- endmacro %}
