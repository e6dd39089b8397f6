{#-
  Did it at least `at_least` times in each of at least `periods` of the last `of_last` periods of `period_days` days.
  The periods are counted back from the as-of date, the last of them ends on it, itself included: with period_days=7
  they are no weeks of the calendar.
-#}
{% macro regularly(event=none, where=none, periods=none, of_last=none, period_days=none, at_least=1) -%}
    {%- do refuse_unknown('regularly', varargs, kwargs) -%}
    {%- for argument, value in [
        ('periods', periods), ('of_last', of_last), ('period_days', period_days), ('at_least', at_least),
    ] -%}
        {%- do refuse_unless_whole_number('regularly', argument, value) -%}
    {%- endfor -%}
    {%- if periods > of_last -%}
        {%- do refuse('regularly', 'periods ' ~ periods ~ ' is above of_last ' ~ of_last ~ '; nobody can do that') -%}
    {%- endif -%}
    {%- set it = matching('regularly', event, where) -%}
    (
    {%- for period in range(of_last) -%}
        {%- set days = 'days_ago between ' ~ period * period_days ~ ' and ' ~ ((period + 1) * period_days - 1) %}
        {{ '+ ' if not loop.first -}}
        case when count(case when {{ it }} and {{ days }} then 1 end) >= {{ at_least }} then 1 else 0 end
    {%- endfor %}
    ) >= {{ periods }}
{%- endmacro %}
