{#-
  What fct_input_health compares with, from vars.input_health:

    max_hours_since_last_event   none where the project shows its sample, which gets no new events
    max_volume_change, min_expected_values
    beyond                       by check, what it is beyond its bound: `warn`, or `fail` where fail_on lists it
-#}
{% macro input_health_bounds() %}
    {%- set said = var('input_health') -%}
    {%- set where = 'dbt_project.yml: vars.input_health' -%}
    {%- set bounds = {} -%}
    {%- for key in ['max_hours_since_last_event', 'max_volume_change', 'min_expected_values'] -%}
        {%- if said.get(key) is not number or said[key] is boolean or said[key] < 0 -%}
            {%- do exceptions.raise_compiler_error(
                where ~ "." ~ key ~ " is '" ~ said.get(key) ~ "'; write a number, 0 or more"
            ) -%}
        {%- endif -%}
        {%- do bounds.update({key: said[key]}) -%}
    {%- endfor -%}
    {%- set checks = ['freshness', 'volume', 'column without values', 'event_name not in the taxonomy'] -%}
    {%- for check in said.get('fail_on') or [] if check not in checks -%}
        {%- do exceptions.raise_compiler_error(
            where ~ ".fail_on: '" ~ check ~ "' is no check; use " ~ checks | join(', ')
        ) -%}
    {%- endfor -%}
    {%- set beyond = {} -%}
    {%- for check in checks -%}
        {%- do beyond.update({check: 'fail' if check in (said.get('fail_on') or []) else 'warn'}) -%}
    {%- endfor -%}
    {%- do bounds.update({'beyond': beyond}) -%}
    {%- if shows_the_sample() -%}
        {%- do bounds.update({'max_hours_since_last_event': none}) -%}
    {%- endif -%}
    {{ return(bounds) }}
{% endmacro %}
