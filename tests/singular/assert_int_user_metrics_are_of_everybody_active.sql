-- Everybody with activity up to the as-of date has one row of metrics at it, and nobody else has any.
with activity as (

    -- From the events themselves, not by the way that the metrics go; from what there is where they are kept no longer.
    select
        user_key,
        device_key,
        event_date
    from {{ ref('int_events') }}
    where is_activity

    union all

    select
        user_key,
        device_key,
        event_date
    from {{ ref('int_half_hours') }}
    where
        events > 0
        and event_date < (select max(retention.first_open_day) from {{ source('runs', 'retention') }} as retention)

),

active as (

    select distinct
        as_of_dates.as_of_date,
        people.user_id
    from activity as events
    inner join {{ ref('int_people') }} as people
        on
            {{ same('events.user_key', 'people.user_key') }}
            and {{ same('events.device_key', 'people.device_key') }}
    inner join {{ ref('int_as_of_dates') }} as as_of_dates
        on
            events.event_date <= as_of_dates.as_of_date
            and people.known_from <= as_of_dates.as_of_date
            and people.known_to > as_of_dates.as_of_date

),

metrics as (

    select
        as_of_date,
        user_id,
        count(*) as row_count
    from {{ ref('int_user_metrics') }}
    group by as_of_date, user_id

),

final as (

    select
        active.user_id as active_user_id,
        metrics.user_id as metrics_user_id,
        metrics.row_count,
        coalesce(active.as_of_date, metrics.as_of_date) as as_of_date
    from active
    full outer join metrics
        on active.as_of_date = metrics.as_of_date and active.user_id = metrics.user_id
    where (active.user_id is not null and metrics.row_count = 1) is not true

)

select * from final
