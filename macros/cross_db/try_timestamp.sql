{#-
  A timestamp in UTC, or null where the text is none, or where it lies outside the years 1 to 9999: a clock that wrong
  (or `infinity`) says nothing, and adding a day to it is an error on some engines.

  DuckDB: a cast of text straight to `timestamp` drops an offset (`10:00+02:00` becomes 10:00), so text takes the way
  over `timestamptz` (the session's zone is UTC). That way is slow, and wrong to take for a column that is a timestamp
  already; `typeof` of a column is known when the query is planned, so just one branch is ever run.

  PostgreSQL has no try_cast, and its own cast takes more for a time than others do (`yesterday`, `1/2/2024`): there are
  functions of that name, one for text and one for each type of times, of which it takes the right one itself
  (create_functions).
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

{% macro postgres__try_timestamp(expression) -%}
    {{ target.schema }}.try_timestamp({{ expression }})
{%- endmacro %}

{#-
  Spark's try_cast takes the name of a zone, a year alone and more that others do not, and does not take slashes nor
  24:00. What nearly all times look like it reads itself; anything else is taken apart by the pattern of PostgreSQL's
  form. Lambdas, so that the parts are found once, and not anew for each use of one.
-#}
{% macro spark__try_timestamp(expression) -%}
    {%- set text = 'cast(' ~ expression ~ ' as string)' -%}
    {%- set years = "between cast('0001-01-01' as timestamp) and cast('9999-12-31 23:59:59.999999' as timestamp)" -%}
    {%- set date_part = '([0-9]{1,9})([-/\\\\\\\\])([0-9]{1,2})\\\\2([0-9]{1,2})' -%}
    {%- set time_part = '(?:T|\\\\s)\\\\s*([0-9]{1,2}):([0-9]{1,2})(?::([0-9]{1,2}(?:\\\\.[0-9]{0,6})?)[0-9]*)?' -%}
    {%- set offset = 'Z|\\\\s*UTC|([-+])([0-9]{2})(?::?([0-9]{2})(?::([0-9]{2}))?)?' -%}
    {%- set hour, minute, second = ['get(p, 4)', 'get(p, 5)', 'get(p, 6)'] -%}
    case
        when typeof({{ expression }}) <> 'string'
            then case when try_cast({{ expression }} as timestamp) {{ years }} then try_cast({{ expression }} as timestamp) end
        when
            {{ text }} rlike concat(
                '^[0-9]{4}-[0-9]{2}-[0-9]{2}',
                '(?:[T ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,6})?Z?)?$'
            )
            and {{ text }} not like '0000%'
            then try_cast({{ expression }} as timestamp)
        else
            get(
                filter(
                    transform(
                        filter(
                            array(
                                split(
                                    regexp_replace(
                                        {{ text }},
                                        '^\\s*{{ date_part }}(?:{{ time_part }}(?:{{ offset }})?)?\\s*$',
                                        'T,$1,$3,$4,0$5,0$6,0$7,$8,0$9,0$10,0$11'
                                    ),
                                    ','
                                )
                            ),
                            p -> get(p, 0) = 'T'
                            and try_cast({{ hour }} as integer) <= 24
                            and try_cast({{ minute }} as integer) <= 59
                            and try_cast({{ second }} as decimal(9, 6)) < 60
                            and (
                                try_cast({{ hour }} as integer) < 24
                                or (try_cast({{ minute }} as integer) = 0 and try_cast({{ second }} as decimal(9, 6)) = 0)
                            )
                        ),
                        p -> try_make_timestamp(
                            try_cast(get(p, 1) as integer), try_cast(get(p, 2) as integer),
                            try_cast(get(p, 3) as integer), 0, 0, 0
                        )
                        + make_dt_interval(
                            0, try_cast({{ hour }} as integer), try_cast({{ minute }} as integer),
                            try_cast({{ second }} as decimal(9, 6))
                        )
                        - case when get(p, 7) = '-' then -1 else 1 end * make_dt_interval(
                            0, try_cast(get(p, 8) as integer), try_cast(get(p, 9) as integer),
                            try_cast(get(p, 10) as decimal(9, 6))
                        )
                    ),
                    moment -> moment {{ years }}
                ),
                0
            )
    end
{%- endmacro %}
