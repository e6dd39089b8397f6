-- The days that this run answers for. A table: what the run itself records as evaluated must not change them under the
-- models that ask later, nor under a test that runs tomorrow.
{{ config(materialized='table') }}
{%- set day_of_run = local_date(run_started_at_utc()) %}

with half_hours as (

    select * from {{ ref('int_half_hours') }}

),

evaluations as (

    select * from {{ source('runs', 'evaluations') }}

),

asked as (

    {% if range_to_evaluate() -%}
    select
        cast('{{ range_to_evaluate().first }}' as date) as first_day,
        cast('{{ range_to_evaluate().last }}' as date) as last_day
    {%- elif requested_as_of_date() -%}
    select
        cast(null as date) as first_day,
        cast('{{ requested_as_of_date() }}' as date) as last_day
    {%- else -%}
    select
        cast(null as date) as first_day,
        case
            -- Who begins today begins with today.
            when min(event_date) >= {{ day_of_run }} then min(event_date)
            -- A day is answered for when it is over: before, most of its events are missing, and the history would
            -- keep what it says of it. A clock that is years ahead makes no day, either.
            when min(event_date) < {{ day_of_run }}
                then least(
                    max(case when event_date <= {{ day_of_run }} then event_date end),
                    {{ days_after(day_of_run, -1) }}
                )
        end as last_day
    from half_hours
    {%- endif %}

),

evaluated as (

    select max(as_of_date) as last_day
    from evaluations

),

bounds as (

    select
        asked.last_day,
        case
            when asked.first_day is not null then asked.first_day
            -- The runs that were missed.
            when evaluated.last_day < asked.last_day then {{ days_after('evaluated.last_day', 1) }}
            -- The first day of all, or one of the past.
            else asked.last_day
        end as first_day
    from asked
    cross join evaluated

),

final as (

    select {{ days_from_to('first_day', 'last_day') }} as as_of_date
    from bounds

)

select * from final
