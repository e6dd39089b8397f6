{#-
  Which group of sets a set is in: five that stand together in vars.segment_sets, and those that the project no longer
  has. Few combinations of five sets exist, and many people share each; of all sets together nearly everybody has one of
  their own, so that combinations would be as many rows as the segments of people are.
-#}
{% macro set_group(segment_set) -%}
    case
        {%- for sets in var('segment_sets') | batch(5) %}
        when {{ segment_set }} in ('{{ sets | join("', '") }}') then {{ loop.index }}
        {%- endfor %}
        else 0
    end
{%- endmacro %}
