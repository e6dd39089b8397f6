{#- Stops the compilation in one line: the macro, what is wrong with which argument, and what to write. -#}
{% macro refuse(macro, line) -%}
    {%- do exceptions.raise_compiler_error(macro ~ ': ' ~ line) -%}
{%- endmacro %}

{#- Arguments that the macro does not have: a misspelled window would otherwise be no window. -#}
{% macro refuse_unknown(macro, by_place, by_name) -%}
    {%- if by_name -%}
        {%- do refuse(macro, 'there is no argument ' ~ (by_name | list | join(', '))
            ~ '; docs/how_do_i_say.md lists those there are') -%}
    {%- elif by_place -%}
        {%- do refuse(macro, 'too many arguments without a name; write days=28 and the like') -%}
    {%- endif -%}
{%- endmacro %}

{% macro refuse_unless_whole_number(macro, argument, value, least=1, hint='') -%}
    {%- if value is not integer or value < least -%}
        {%- do refuse(macro, argument ~ ' is ' ~ value ~ '; write a whole number from ' ~ least ~ hint) -%}
    {%- endif -%}
{%- endmacro %}

{% macro refuse_unless_text(macro, argument, value, hint) -%}
    {%- if value is not string or not value.strip() -%}
        {%- do refuse(macro, argument ~ " is '" ~ value ~ "'; write " ~ hint) -%}
    {%- endif -%}
{%- endmacro %}

{#- A day of the calendar, as text: engines differ in what they make of 2024-02-30. -#}
{% macro refuse_unless_date(macro, argument, value) -%}
    {%- set ns = namespace(ok=value is string and modules.re.fullmatch('[0-9]{4}-[0-9]{2}-[0-9]{2}', value)) -%}
    {%- if ns.ok -%}
        {%- set year, month, day = value[:4] | int, value[5:7] | int, value[8:] | int -%}
        {%- set is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) -%}
        {%- set days = [31, 29 if is_leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] -%}
        {%- set ns.ok = year >= 1 and 1 <= month <= 12 and 1 <= day <= days[month - 1] -%}
    {%- endif -%}
    {%- if not ns.ok -%}
        {%- do refuse(macro, argument ~ " is '" ~ value ~ "', which is no date; write it as '2024-06-30'") -%}
    {%- endif -%}
{%- endmacro %}

{#- For two spans that end on the as-of date, of which the shorter one lies in the longer one. -#}
{% macro refuse_unless_inside(macro, recent_days, days) -%}
    {%- do refuse_unless_whole_number(macro, 'recent_days', recent_days) -%}
    {%- do refuse_unless_whole_number(macro, 'days', days) -%}
    {%- if recent_days >= days -%}
        {%- do refuse(macro, 'recent_days is ' ~ recent_days ~ ' and days is ' ~ days
            ~ '; the recent days are some of the days: write a smaller recent_days, or a larger days') -%}
    {%- endif -%}
{%- endmacro %}
