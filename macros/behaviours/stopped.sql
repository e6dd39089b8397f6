{#-
  Did it in the last `days` days, but not in the last `recent_days` of them. Both spans end on the as-of date, itself
  included, so that no day lies between them: with days=28 and recent_days=7 an event 7 to 27 days ago, and none 0 to 6
  days ago.
-#}
{% macro stopped(event=none, where=none, days=none, recent_days=none) -%}
    {%- do refuse_unknown('stopped', varargs, kwargs) -%}
    {%- do refuse_unless_inside('stopped', recent_days, days) -%}
    {#- The last time that they did it is what tells. -#}
    coalesce(min(case when {{ matching('stopped', event, where) }} then days_ago end)
    {{- ' between ' ~ recent_days ~ ' and ' ~ (days - 1) ~ ', false)' -}}
{%- endmacro %}
