{#-
  What a user is in, as int_user_segments keeps it: a column for each set, since a column for each flag would make the
  widest table of the project three times as wide.

  A set of flags is a number: the first flag counts 1, the second 2, the third 4, and so on; 0 is in none of them, null
  is not in the population. An attribute set is its value, and has a column in_<set> besides: a value may be missing.
-#}
{% macro segment_columns() %}
    {%- set columns = [] -%}
    {%- for set in segment_sets() -%}
        {%- if set.kind == 'attribute' -%}
            {%- do columns.append('in_' ~ set.name) -%}
        {%- endif -%}
        {%- do columns.append(set.name) -%}
    {%- endfor -%}
    {{ return(columns) }}
{% endmacro %}

{#- The flags of a set as a number; `rows` is what the query calls the set. -#}
{% macro flags_as_number(set, rows) -%}
    {%- for segment in set.segments %}
        {{- '\n            + ' if not loop.first -}}
        case when {{ rows }}.{{ adapter.quote(segment.name) }} then {{ 2 ** loop.index0 }} else 0 end
    {%- else -%}
        0
    {%- endfor -%}
{%- endmacro %}

{#- The condition that a user is in the population of a set, on the columns of segment_columns(). -#}
{% macro is_in_population(set) -%}
    {{ 'in_' ~ set.name if set.kind == 'attribute' else set.name ~ ' is not null' }}
{%- endmacro %}

{#- The condition that a user is in a segment; for an attribute set, that they have a value. -#}
{% macro is_in_segment(set, segment, rows=none) -%}
    {%- set column = rows ~ '.' ~ set.name if rows else set.name -%}
    {%- if set.kind == 'attribute' -%}
    {{ column }} is not null
    {%- else -%}
    {%- set counts = 2 ** set.segments.index(segment) -%}
    {{ column }} % {{ 2 * counts }} >= {{ counts }}
    {%- endif -%}
{%- endmacro %}
