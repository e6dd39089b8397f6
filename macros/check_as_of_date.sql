{#- The as-of date that was asked for (variable as_of_date, else environment AS_OF), or none. -#}
{% macro requested_as_of_date() -%}
    {{ return(var('as_of_date', none) or env_var('AS_OF', '') or none) }}
{%- endmacro %}

{#-
  Before anything is built: an as-of date that is no date, or that lies before the first clean event, stops the run in
  one line. On DuckDB tools/raw_files.py has refused a bad AS_OF before it changed the raw tables; this also sees the
  variable, and the events of all collectors.
-#}
{% macro check_as_of_date() %}
    {% set asked = requested_as_of_date() | string if requested_as_of_date() else none %}
    {% if execute and asked %}
        {% set is_date = modules.re.fullmatch('[0-9]{4}-[0-9]{2}-[0-9]{2}', asked) and run_query(
            "select " ~ try_timestamp("cast('" ~ asked ~ "' as " ~ dbt.type_string() ~ ")") ~ " is not null as is_date"
        ).rows[0][0] %}
        {% if not is_date %}
            {% do exceptions.raise_compiler_error("AS_OF: '" ~ asked ~ "' is no date; write it as 2024-06-30") %}
        {% endif %}
        {#- Stops at the first event that is early enough; all are looked through only to say which is the first. -#}
        {% set has_events = run_query(
            "select exists (select 1 from " ~ clean_event_days()
            ~ " as clean where event_day <= cast('" ~ asked ~ "' as date)) as has_events"
        ).rows[0][0] %}
        {% if not has_events %}
            {% set first_day = run_query(
                "select cast(min(event_day) as " ~ dbt.type_string() ~ ") as first_day from " ~ clean_event_days()
                ~ " as clean"
            ).rows[0][0] %}
            {% if first_day %}
                {% do exceptions.raise_compiler_error(
                    "AS_OF: " ~ asked ~ " is before the first event (" ~ first_day
                    ~ "); ask for that day or a later one"
                ) %}
            {% endif %}
        {% endif %}
    {% endif %}
{% endmacro %}

{#-
  The days of the clean events of all collectors, as a subquery. What is clean, base_<collector>__events says; in a new
  warehouse there is no such view yet, so its SQL is taken from the project.
-#}
{% macro clean_event_days() -%}
    (
    {% for collector in var('collectors') -%}
    {%- set base = graph.nodes.values() | selectattr('resource_type', 'equalto', 'model')
        | selectattr('name', 'equalto', 'base_' ~ collector ~ '__events') | first -%}
    select {{ local_date('event_at') }} as event_day
    from (
    {{ render(base.raw_code) }}
    ) as {{ 'events_of_' ~ collector }}
    where rejection_reason is null
    {% if not loop.last %}union all{% endif %}
    {% endfor -%}
    )
{%- endmacro %}
