{#-
  Did it, so many times (at least once where nothing is said), in a window. `at_most=2` means once or twice: who never
  did it is said with not_performed.
-#}
{% macro performed(
    event=none, where=none, days=none, from_date=none, to_date=none,
    at_least=none, at_most=none, exactly=none, between=none
) -%}
    {%- do refuse_unknown('performed', varargs, kwargs) -%}
    count(case when {{ matching('performed', event, where, days, from_date, to_date) }} then 1 end)
    {{- ' ' ~ so_many_times('performed', at_least, at_most, exactly, between) -}}
{%- endmacro %}

{% macro so_many_times(macro, at_least, at_most, exactly, between) -%}
    {%- set hint = '; never is said with not_performed()' -%}
    {%- set given = [exactly, between] | reject('none') | list | length -%}
    {%- if given > 1 or (given == 1 and (at_least is not none or at_most is not none)) -%}
        {%- do refuse(macro, 'exactly and between stand alone; write one of them, or at_least and at_most') -%}
    {%- elif exactly is not none -%}
        {%- do refuse_unless_whole_number(macro, 'exactly', exactly, 1, hint) -%}
        = {{ exactly }}
    {%- elif between is not none -%}
        {%- if between is string or between is mapping or between is not sequence or between | length != 2 -%}
            {%- do refuse(macro, 'between is ' ~ between ~ '; write two whole numbers, as [2, 5]') -%}
        {%- endif -%}
        {%- do refuse_unless_whole_number(macro, 'between', between[0], 1, hint) -%}
        {%- do refuse_unless_whole_number(macro, 'between', between[1], 1, hint) -%}
        {%- if between[0] > between[1] -%}
            {%- do refuse(macro, 'between is [' ~ between[0] ~ ', ' ~ between[1] ~ ']; write the smaller one first') -%}
        {%- endif -%}
        between {{ between[0] }} and {{ between[1] }}
    {%- else -%}
        {%- if at_least is not none -%}
            {%- do refuse_unless_whole_number(macro, 'at_least', at_least, 1, hint) -%}
        {%- endif -%}
        {%- if at_most is not none -%}
            {%- do refuse_unless_whole_number(macro, 'at_most', at_most, 1, hint) -%}
            {%- if at_least is not none and at_least > at_most -%}
                {%- do refuse(macro, 'at_least ' ~ at_least ~ ' is above at_most ' ~ at_most ~ '; change them over') -%}
            {%- endif -%}
            between {{ at_least if at_least is not none else 1 }} and {{ at_most }}
        {%- else -%}
            >= {{ at_least if at_least is not none else 1 }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
