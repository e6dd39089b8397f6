{#-
  Did `event` more often than `than`, and with `times` at least so many times as often. Who did neither did not do more
  of it; who did `event` alone did. `where` says which of `event` count, `than_where` which of `than`.
-#}
{% macro more_of(
    event=none, than=none, times=none, where=none, than_where=none, days=none, from_date=none, to_date=none
) -%}
    {%- do refuse_unknown('more_of', varargs, kwargs) -%}
    {%- if than is none -%}
        {%- do refuse('more_of', "than is missing; write the event to compare with, as than='search'") -%}
    {%- endif -%}
    {%- set this = 'count(case when ' ~ matching('more_of', event, where, days, from_date, to_date) ~ ' then 1 end)' -%}
    {%- set that = 'count(case when ' ~ matching('more_of', than, than_where, days, from_date, to_date) ~ ' then 1 end)' -%}
    {%- if times is none -%}
        {{ this }} > {{ that }}
    {%- elif times is boolean or times is not number or times < 1 -%}
        {%- do refuse('more_of', 'times is ' ~ times ~ '; write a number from 1: less than that is not more') -%}
    {%- else -%}
        ({{ this }} > {{ that }} and {{ this }} >= {{ times }} * {{ that }})
    {%- endif -%}
{%- endmacro %}
