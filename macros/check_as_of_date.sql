{#- The as-of date that was asked for (variable as_of_date, else environment AS_OF), or none. -#}
{% macro requested_as_of_date() -%}
    {{ return(var('as_of_date', none) or env_var('AS_OF', '') or none) }}
{%- endmacro %}

{#-
  Before anything is built: an as-of date that is no date, or that lies before the first event, stops the run in one
  line.
-#}
{% macro check_as_of_date() %}
    {% set asked = requested_as_of_date() | string if requested_as_of_date() else none %}
    {% if execute and asked %}
        {% if not modules.re.fullmatch('\\d{4}-\\d{2}-\\d{2}', asked) %}
            {% do exceptions.raise_compiler_error("AS_OF: '" ~ asked ~ "' is no date; write it as 2024-06-30") %}
        {% endif %}
        {% set answer = run_query(
            "select cast(" ~ try_timestamp("cast('" ~ asked ~ "' as varchar)") ~ " as date) as asked, "
            ~ "cast(" ~ local_date("min(" ~ try_timestamp("event_at") ~ ")") ~ " as varchar) as first_day "
            ~ "from " ~ source('raw', 'events')
        ).rows[0] %}
        {% if answer[0] is none %}
            {% do exceptions.raise_compiler_error("AS_OF: '" ~ asked ~ "' is no date; write it as 2024-06-30") %}
        {% elif answer[1] and asked < answer[1] %}
            {% do exceptions.raise_compiler_error(
                "AS_OF: " ~ asked ~ " is before the first event (" ~ answer[1] ~ "); ask for that day or a later one"
            ) %}
        {% endif %}
    {% endif %}
{% endmacro %}
