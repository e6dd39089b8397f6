{#-
  The share of the events `of` (by default of all) that are `event`, from 0 to 1; null where there are none: nothing has
  no share.
-#}
{% macro share_of(event=none, of='any_event', where=none, days=none, from_date=none, to_date=none) -%}
    {%- do refuse_unknown('share_of', varargs, kwargs) -%}
    {%- set all = matching('share_of', of, none, days, from_date, to_date) -%}
    {%- set part = matching('share_of', event, where) -%}
    {%- for word in ([event] if event is string else event) -%}
        {%- set others = [of] if of is string else of | list -%}
        {%- set kinds = [] -%}
        {%- for other in others -%}{%- do kinds.append(event_kind(other)) -%}{%- endfor -%}
        {#- A type is none of other types, a name none of other names: their share would always be 0. -#}
        {%- if word not in others and kinds | unique | list == [event_kind(word)] -%}
            {%- do refuse('share_of', word ~ ' is none of ' ~ others | join(', ') ~ '; add it to `of`') -%}
        {%- endif -%}
    {%- endfor -%}
    cast(count(case when {{ all }} and {{ part }} then 1 end) as {{ type_double() }})
    {{- ' / nullif(count(case when ' ~ all ~ ' then 1 end), 0)' -}}
{%- endmacro %}
