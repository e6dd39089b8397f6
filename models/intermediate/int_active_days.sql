-- The days on which each person was active, as they are known at the latest as-of date, and the active days around
-- each. A table: days are read and sorted once for all that is about growth and habits. Whether a day is the first one
-- or the last one of its week or month is told by its neighbours.
{{ config(materialized='table') }}
{%- do refuse_unless_whole_number('vars', 'monthly_activity_threshold', var('monthly_activity_threshold')) %}

with as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

active_days as (

    -- A person's day may have several rows: a row a device, and where traits changed.
    select distinct
        every_date.person_key,
        every_date.event_date
    from {{ ref('int_person_days') }} as every_date
    where
        every_date.as_of_date = (select max(as_of_dates.as_of_date) from as_of_dates)
        and every_date.events > 0

),

final as (

    select
        person_key,
        event_date as active_on,
        lag(event_date) over (partition by person_key order by event_date) as previous_active_on,
        lead(event_date) over (partition by person_key order by event_date) as next_active_on,
        lag(event_date, {{ var('monthly_activity_threshold') - 1 }}) over (
            partition by person_key order by event_date
        ) as begins_threshold_on
    from active_days

)

select * from final
