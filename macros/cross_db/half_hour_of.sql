{#-
  The number of the half hour (since 1970, UTC) that a timestamp lies in. Every engine has its own epoch function, and
  some count in floating numbers: days, hours and minutes are the same everywhere, and exact for any year.
-#}
{% macro half_hour_of(expression) -%}
    cast(
        {{ days_between("cast('1970-01-01' as date)", 'cast(' ~ expression ~ ' as date)') }} * 48
        + extract(hour from {{ expression }}) * 2
        + case when extract(minute from {{ expression }}) >= 30 then 1 else 0 end as integer
    )
{%- endmacro %}
