{#-
  Flags as rows: as_of_date, user_id and the name of each flag that is true, in one pass over the set.

  The flags come from the documented columns (segment_set), so that compiling needs no warehouse. The engines differ in
  what is fast: on DuckDB `lateral (values ...)` is as fast as a select a flag, which would read the set once a flag
  elsewhere; PostgreSQL takes seven times as long for it as for unnest(array_remove(array[case ...], null)), and Spark
  has stack.
-#}
{% macro unpivot_segments(relation, flags) -%}
    {{ return(adapter.dispatch('unpivot_segments', 'user_segments')(relation, flags)) }}
{%- endmacro %}

{% macro default__unpivot_segments(relation, flags) -%}
    select
        flags.as_of_date,
        flags.user_id,
        segments.segment
    from {{ relation }} as flags
    cross join lateral (
        values
        {%- for flag in flags %}
        ('{{ flag }}', flags.{{ adapter.quote(flag) }}){{ ',' if not loop.last }}
        {%- endfor %}
    ) as segments (segment, is_member)
    where segments.is_member
{%- endmacro %}
