{#-
  Numbers and texts of the events that count, as metrics that segments compare with literals. `value` is a column of
  int_person_events or SQL on them: 'revenue', 'quantity', json_number('properties', 'rating'). Events where it is null
  do not count. Of no events counts and sums are 0, all others null: nothing has no average.

  min_of('days_ago', 'purchase') is the days since the last purchase, max_of('days_ago', ...) those since the first, and
  distinct_of('event_date', ...) the days on which it was done.
-#}
{% macro count_of(event=none, where=none, days=none, from_date=none, to_date=none) -%}
    {%- do refuse_unknown('count_of', varargs, kwargs) -%}
    count(case when {{ matching('count_of', event, where, days, from_date, to_date) }} then 1 end)
{%- endmacro %}

{% macro sum_of(value=none, event=none, where=none, days=none, from_date=none, to_date=none) -%}
    {%- do refuse_unknown('sum_of', varargs, kwargs) -%}
    coalesce(sum({{ value_where_matching('sum_of', value, event, where, days, from_date, to_date) }}), 0)
{%- endmacro %}

{% macro average_of(value=none, event=none, where=none, days=none, from_date=none, to_date=none) -%}
    {%- do refuse_unknown('average_of', varargs, kwargs) -%}
    {%- set values = value_where_matching('average_of', value, event, where, days, from_date, to_date) -%}
    cast(avg({{ values }}) as {{ type_double() }})
{%- endmacro %}

{% macro min_of(value=none, event=none, where=none, days=none, from_date=none, to_date=none) -%}
    {%- do refuse_unknown('min_of', varargs, kwargs) -%}
    min({{ value_where_matching('min_of', value, event, where, days, from_date, to_date) }})
{%- endmacro %}

{% macro max_of(value=none, event=none, where=none, days=none, from_date=none, to_date=none) -%}
    {%- do refuse_unknown('max_of', varargs, kwargs) -%}
    max({{ value_where_matching('max_of', value, event, where, days, from_date, to_date) }})
{%- endmacro %}

{% macro distinct_of(value=none, event=none, where=none, days=none, from_date=none, to_date=none) -%}
    {%- do refuse_unknown('distinct_of', varargs, kwargs) -%}
    count(distinct {{ value_where_matching('distinct_of', value, event, where, days, from_date, to_date) }})
{%- endmacro %}

{#- The value in the first of the events that has one; of several at that moment the one that sorts first. -#}
{% macro first_of(value=none, event=none, where=none, days=none, from_date=none, to_date=none) -%}
    {%- do refuse_unknown('first_of', varargs, kwargs) -%}
    {{ value_at_min(value_where_matching('first_of', value, event, where, days, from_date, to_date), 'event_at') }}
{%- endmacro %}

{#- The value in the last of the events that has one; of several at that moment the one that sorts last. -#}
{% macro last_of(value=none, event=none, where=none, days=none, from_date=none, to_date=none) -%}
    {%- do refuse_unknown('last_of', varargs, kwargs) -%}
    {{ value_at_max(value_where_matching('last_of', value, event, where, days, from_date, to_date), 'event_at') }}
{%- endmacro %}

{% macro value_where_matching(macro, value, event, where, days, from_date, to_date) -%}
    {%- do refuse_unless_text(macro, 'value', value, "a column, as 'revenue', or SQL on columns") -%}
    case when {{ matching(macro, event, where, days, from_date, to_date) }} then {{ value }} end
{%- endmacro %}
