{#- Never did it in the window, by somebody who exists: who has any event up to the as-of date. -#}
{% macro not_performed(event=none, where=none, days=none, from_date=none, to_date=none) -%}
    {%- do refuse_unknown('not_performed', varargs, kwargs) -%}
    count(case when {{ matching('not_performed', event, where, days, from_date, to_date) }} then 1 end) = 0
{%- endmacro %}
