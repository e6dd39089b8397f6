{#-
  Did it in the last `recent_days` days, not in the rest of the last `days` days, and did it before these: with days=28
  and recent_days=7 an event 0 to 6 days ago, none 7 to 27 days ago, and one 28 days ago or earlier. Both spans end on
  the as-of date, itself included.
-#}
{% macro restarted(event=none, where=none, days=none, recent_days=none) -%}
    {%- do refuse_unknown('restarted', varargs, kwargs) -%}
    {%- do refuse_unless_inside('restarted', recent_days, days) -%}
    {%- set it = matching('restarted', event, where) -%}
    (
        count(case when {{ it }} and days_ago < {{ recent_days }} then 1 end) > 0
        and count(case when {{ it }} and days_ago between {{ recent_days }} and {{ days - 1 }} then 1 end) = 0
        and count(case when {{ it }} and days_ago >= {{ days }} then 1 end) > 0
    )
{%- endmacro %}
