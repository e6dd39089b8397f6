{#-
  What a segment counts as in runs.evaluations: a flag is evaluated by itself, a value of an attribute set (of which the
  project knows no names) with its set, as `all`.
-#}
{% macro evaluated_as() -%}
    case
        {%- for set in segment_sets() if set.kind == 'attribute' %}
        when segment_set = '{{ set.name }}' then 'all'
        {%- endfor %}
        else segment
    end
{%- endmacro %}

{#-
  The names of the exclusive sets, as a list for `in`; where it is asked, of those that cover their population, and of
  those of flags alone.
-#}
{% macro exclusive_set_names(coverage=none, kind=none) -%}
    {%- set names = [] -%}
    {%- for set in segment_sets() if set.overlap == 'exclusive' and coverage in (none, set.coverage) and kind in (none, set.kind) -%}
        {%- do names.append(set.name) -%}
    {%- endfor -%}
    ('{{ names | join("', '") }}')
{%- endmacro %}
