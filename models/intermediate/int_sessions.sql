-- Visits: activity of one person on one device with no gap of more than 30 minutes, cut at the end of the as-of date.
with half_hours as (

    select * from {{ ref('int_person_half_hours') }}

),

spans as (

    select
        as_of_date,
        person_key,
        device_key,
        event_date,
        events,
        first_activity_at,
        last_activity_at,
        -- The latest activity of all spans before this one: a span may lie inside another (two channels at a time).
        max(last_activity_at) over (
            partition by as_of_date, person_key, device_key
            order by first_activity_at
            rows between unbounded preceding and 1 preceding
        ) as previous_activity_at
    from half_hours
    where events > 0

),

numbered as (

    select
        as_of_date,
        person_key,
        device_key,
        event_date,
        events,
        first_activity_at,
        last_activity_at,
        -- Exactly 30 minutes is still the same visit. `range`: spans that begin in one instant are in one visit,
        -- whichever of them the window above happened to take first.
        sum(case when first_activity_at <= previous_activity_at + interval '30' minute then 0 else 1 end) over (
            partition by as_of_date, person_key, device_key
            order by first_activity_at
            range between unbounded preceding and current row
        ) as session_number
    from spans

),

final as (

    select
        as_of_date,
        person_key,
        device_key,
        session_number,
        min(event_date) as session_date,
        {{ days_between('min(event_date)', 'as_of_date') }} as days_ago,
        min(first_activity_at) as started_at,
        max(last_activity_at) as ended_at,
        {{ seconds_between('min(first_activity_at)', 'max(last_activity_at)') }} as seconds,
        sum(events) as events
    from numbered
    group by as_of_date, person_key, device_key, session_number

)

select * from final
