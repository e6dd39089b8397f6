{#-
  A query for the segments of all sets, or of some, as rows, of a relation that has them side by side (segment_columns):
  the columns that are named, segment_set and segment. DuckDB and PostgreSQL read the two or three columns of each
  segment by themselves, in a union of as many selects. Spark would read the relation as many times, wherever the query
  stands: it goes over it once, and makes the rows of an array.
-#}
{% macro segments_as_rows(relation, columns, sets=none) -%}
    {%- set asked = segment_sets() if sets is none else sets -%}
    {{ return(adapter.dispatch('segments_as_rows', 'user_segments')(relation, columns, asked)) }}
{%- endmacro %}

{% macro default__segments_as_rows(relation, columns, sets) -%}
    {%- for set in sets %}
    {%- for segment in set.segments %}

    select
        {%- for column in columns %}
        {{ column }},
        {%- endfor %}
        '{{ set.name }}' as segment_set,
        {{ "'" ~ segment.name ~ "'" if set.kind == 'flags' else set.name }} as segment
    from {{ relation }}
    where {{ is_in_segment(set, segment) }}

    union all
    {%- endfor %}
    {%- endfor %}

    -- No row: it closes the list.
    select
        {%- for column in columns %}
        {{ column }},
        {%- endfor %}
        '' as segment_set,
        '' as segment
    from {{ relation }}
    where 1 = 0
{%- endmacro %}

{% macro spark__segments_as_rows(relation, columns, sets) %}
    select
        {%- for column in columns %}
        {{ column }},
        {%- endfor %}
        inline(
            filter(
                array(
                    {%- for set in sets %}
                    {%- for segment in set.segments %}
                    case
                        when {{ is_in_segment(set, segment) }}
                            then struct(
                                '{{ set.name }}' as segment_set,
                                {{ "'" ~ segment.name ~ "'" if set.kind == 'flags' else set.name }} as segment
                            )
                    end,
                    {%- endfor %}
                    {%- endfor %}
                    -- It closes the list.
                    cast(null as struct<segment_set: string, segment: string>)
                ),
                s -> s is not null
            )
        ) as (segment_set, segment)
    from {{ relation }}
{%- endmacro %}
