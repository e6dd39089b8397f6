{#- The first time ever that they did it lies in the window: not the first time in it. -#}
{% macro first_time(event=none, where=none, days=none, from_date=none, to_date=none) -%}
    {%- do refuse_unknown('first_time', varargs, kwargs) -%}
    {%- if days is none and from_date is none and to_date is none -%}
        {%- do refuse('first_time', 'there is no window; write days=28, or from_date= and to_date=') -%}
    {%- endif -%}
    {#- Only to check it: here the window holds a day of all events, not each of them. -#}
    {%- do in_window('first_time', days, from_date, to_date) -%}
    {%- set it = matching('first_time', event, where) -%}
    {%- set conditions = [] -%}
    {%- if days is not none -%}
        {%- do conditions.append('max(case when ' ~ it ~ ' then days_ago end) < ' ~ days) -%}
    {%- endif -%}
    {%- set first_day = 'min(case when ' ~ it ~ ' then event_date end)' -%}
    {%- if from_date is not none -%}
        {%- do conditions.append(first_day ~ " >= cast('" ~ from_date ~ "' as date)") -%}
    {%- endif -%}
    {%- if to_date is not none -%}
        {%- do conditions.append(first_day ~ " <= cast('" ~ to_date ~ "' as date)") -%}
    {%- endif -%}
    coalesce({{ conditions | join(' and ') }}, false)
{%- endmacro %}
