{#-
  A timestamp in UTC, or null where the text is none, or where it lies outside the years 1 to 9999: a clock that wrong
  (or `infinity`) says nothing, and adding a day to it is an error on some engines.

  DuckDB: a cast of text straight to `timestamp` drops an offset (`10:00+02:00` becomes 10:00), so text takes the way
  over `timestamptz` (the session's zone is UTC). That way is slow, and wrong to take for a column that is a timestamp
  already; `typeof` of a column is known when the query is planned, so just one branch is ever run.
-#}
{% macro try_timestamp(expression) %}{{ return(adapter.dispatch('try_timestamp', 'user_segments')(expression)) }}{% endmacro %}

{% macro default__try_timestamp(expression) -%}
    {%- set parsed -%}
    case
        when typeof({{ expression }}) = 'VARCHAR'
            then cast(try_cast(cast({{ expression }} as varchar) as timestamp with time zone) as timestamp)
        else try_cast({{ expression }} as timestamp)
    end
    {%- endset -%}
    case
        when {{ parsed }} between cast('0001-01-01' as timestamp) and cast('9999-12-31 23:59:59.999999' as timestamp)
            then {{ parsed }}
    end
{%- endmacro %}
