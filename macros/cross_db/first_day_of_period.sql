{#-
  The first day of the day, week or month that a date lies in. Weeks begin as vars.week_start says: date_trunc knows
  Mondays alone, so that for Sundays it is asked about the day after. Engines differ in what it gives, a date or a
  timestamp; PostgreSQL's takes a date for midnight in the time zone of the session, unless it is given a timestamp.
-#}
{% macro first_day_of_period(period, day) -%}
    {%- if var('week_start') not in ('monday', 'sunday') -%}
        {%- do exceptions.raise_compiler_error(
            "dbt_project.yml: vars.week_start is '" ~ var('week_start') ~ "'; write monday or sunday"
        ) -%}
    {%- endif -%}
    {{ return(adapter.dispatch('first_day_of_period', 'user_segments')(period, day)) }}
{%- endmacro %}

{% macro default__first_day_of_period(period, day) -%}
    {%- if period == 'day' -%}
        {{ day }}
    {%- elif period == 'week' and var('week_start') == 'sunday' -%}
        cast({{ days_after("cast(date_trunc('week', " ~ days_after(day, 1) ~ ") as date)", -1) }} as date)
    {%- else -%}
        cast(date_trunc('{{ period }}', {{ day }}) as date)
    {%- endif -%}
{%- endmacro %}

{% macro postgres__first_day_of_period(period, day) -%}
    {%- if period == 'day' -%}
        {{ day }}
    {%- elif period == 'week' and var('week_start') == 'sunday' -%}
        (cast(date_trunc('week', cast({{ days_after(day, 1) }} as timestamp)) as date) - 1)
    {%- else -%}
        cast(date_trunc('{{ period }}', cast({{ day }} as timestamp)) as date)
    {%- endif -%}
{%- endmacro %}
