{#-
  A trait of `users` as it was at the end of a past day: the body of a CTE, with one row (as_of_date, user_id, and the
  trait) for each person of whom `users` says something by then. `days_before=30` is 30 days before the as-of date,
  `on_date` a fixed day, which is the as-of date where it lies after that.

  The row in force is found as int_user_traits finds it; a row without updated_at is always in force, for the past too.
  Whose it is goes by the aliases known at the as-of date. What events showed by a past day, last_of() says.
-#}
{% macro trait_at(trait=none, days_before=none, on_date=none) -%}
    {%- do refuse_unknown('trait_at', varargs, kwargs) -%}
    {%- if trait not in ['plan', 'country', 'language', 'channel'] -%}
        {%- do refuse('trait_at', "trait is '" ~ trait ~ "'; write plan, country, language or channel") -%}
    {%- endif -%}
    {%- if (days_before is none) == (on_date is none) -%}
        {%- do refuse('trait_at', 'write the past day as days_before=30 or as on_date, and one of them alone') -%}
    {%- elif on_date is none -%}
        {%- do refuse_unless_whole_number('trait_at', 'days_before', days_before) -%}
        {%- set day = days_after('as_of_dates.as_of_date', -days_before) -%}
    {%- else -%}
        {%- do refuse_unless_date('trait_at', 'on_date', on_date) -%}
        {%- set day = "least(cast('" ~ on_date ~ "' as date), as_of_dates.as_of_date)" -%}
    {%- endif -%}
    select
        as_of_date,
        user_id,
        {{ trait }}
    from (
        select
            as_of_dates.as_of_date,
            coalesce(aliases.user_id, users.user_id) as user_id,
            users.{{ trait }},
            row_number() over (
                partition by as_of_dates.as_of_date, coalesce(aliases.user_id, users.user_id)
                order by
                    users.updated_at is null, users.updated_at desc, users.user_id desc, users.plan desc nulls last,
                    users.country desc nulls last, users.language desc nulls last, users.channel desc nulls last
            ) as newest
        from {{ ref('stg_generic__users') }} as users
        inner join {{ ref('int_as_of_dates') }} as as_of_dates
            on users.updated_at is null or {{ local_date('users.updated_at') }} <= {{ day }}
        left join {{ ref('int_aliases') }} as aliases
            on
                users.user_id = aliases.previous_id
                and as_of_dates.as_of_date >= aliases.known_from
                and as_of_dates.as_of_date < aliases.known_to
    ) as ranked
    where newest = 1
{%- endmacro %}
