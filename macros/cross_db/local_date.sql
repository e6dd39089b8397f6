{#-
  The day of a UTC timestamp in the reporting time zone (vars.timezone).

  In UTC it is a plain cast: going through the calendar costs more than reading the events, and most projects report in
  UTC.
-#}
{% macro local_date(expression) %}{{ return(adapter.dispatch('local_date', 'user_segments')(expression)) }}{% endmacro %}

{% macro default__local_date(expression) -%}
    {%- if var('timezone') == 'UTC' -%}
        cast({{ expression }} as date)
    {%- else -%}
        cast(timezone('{{ var("timezone") }}', timezone('UTC', {{ expression }})) as date)
    {%- endif -%}
{%- endmacro %}

{% macro spark__local_date(expression) -%}
    {%- if var('timezone') == 'UTC' -%}
        cast({{ expression }} as date)
    {%- else -%}
        cast(from_utc_timestamp({{ expression }}, '{{ var("timezone") }}') as date)
    {%- endif -%}
{%- endmacro %}
