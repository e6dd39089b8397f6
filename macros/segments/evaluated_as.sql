{#-
  What a segment counts as in runs.evaluations: a flag is evaluated by itself, a value of an attribute set (of which the
  project knows no names) with its set, as `all`.
-#}
{% macro evaluated_as(relation=none) -%}
    {%- set prefix = relation ~ '.' if relation else '' -%}
    {%- set attribute_sets = segment_sets() | selectattr('kind', 'equalto', 'attribute') | list -%}
    {%- if attribute_sets -%}
    case
        {%- for set in attribute_sets %}
        when {{ prefix }}segment_set = '{{ set.name }}' then 'all'
        {%- endfor %}
        else {{ prefix }}segment
    end
    {%- else -%}
    {{ prefix }}segment
    {%- endif -%}
{%- endmacro %}

{#-
  The names of the exclusive sets, as a list for `in`; where it is asked, of those that cover their population, and of
  those of flags alone.
-#}
{% macro exclusive_set_names(coverage=none, kind=none) -%}
    {%- set names = [] -%}
    {%- for set in segment_sets() if set.overlap == 'exclusive' -%}
        {%- if coverage in (none, set.coverage) and kind in (none, set.kind) -%}
            {%- do names.append(set.name) -%}
        {%- endif -%}
    {%- endfor -%}
    ('{{ names | join("', '") }}')
{%- endmacro %}
