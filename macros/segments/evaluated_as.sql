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

{#- The names of the exclusive sets, as a list for `in`. -#}
{% macro exclusive_set_names() -%}
    ('{{ segment_sets() | selectattr('overlap', 'equalto', 'exclusive') | map(attribute='name') | join("', '") }}')
{%- endmacro %}
