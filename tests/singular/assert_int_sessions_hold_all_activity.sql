-- The sessions of a person hold each of their activity events up to the as-of date once, and two sessions on one
-- device lie more than 30 minutes apart. The days of a person hold as many events, sessions and seconds as these.
with sessions as (

    select * from {{ ref('int_sessions') }}

),

person_days as (

    select * from {{ ref('int_person_days') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

by_session as (

    select
        as_of_date,
        person_key,
        sum(events) as events,
        count(*) as sessions,
        sum(seconds) as seconds
    from sessions
    group by as_of_date, person_key

),

by_day as (

    select
        as_of_date,
        person_key,
        sum(events) as events,
        sum(sessions) as sessions,
        sum(session_seconds + carried_session_seconds) as seconds
    from person_days
    group by as_of_date, person_key

),

-- Of days whose single events are no longer kept, the half hours are all there is.
activity as (

    select
        user_key,
        device_key,
        event_date,
        1 as events
    from {{ ref('int_events') }}
    where is_activity

    union all

    select
        user_key,
        device_key,
        event_date,
        events
    from {{ ref('int_half_hours') }}
    where
        events > 0
        and event_date < (select max(retention.first_open_day) from {{ source('runs', 'retention') }} as retention)

),

by_event as (

    select
        as_of_dates.as_of_date,
        people.person_key,
        sum(events.events) as events
    from activity as events
    inner join {{ ref('int_people') }} as people
        on
            {{ same('events.user_key', 'people.user_key') }}
            and {{ same('events.device_key', 'people.device_key') }}
    inner join as_of_dates
        on
            events.event_date <= as_of_dates.as_of_date
            and people.known_from <= as_of_dates.as_of_date
            and people.known_to > as_of_dates.as_of_date
    group by as_of_dates.as_of_date, people.person_key

),

counted_otherwise as (

    select
        'events of the sessions' as problem,
        coalesce(by_event.as_of_date, by_session.as_of_date) as as_of_date,
        coalesce(by_event.person_key, by_session.person_key) as person_key
    from by_event
    full outer join by_session
        on by_event.as_of_date = by_session.as_of_date and by_event.person_key = by_session.person_key
    left join by_day
        on by_event.as_of_date = by_day.as_of_date and by_event.person_key = by_day.person_key
    where
        (
            by_event.events = by_session.events
            and by_event.events = by_day.events
            and by_session.sessions = by_day.sessions
            and by_session.seconds = by_day.seconds
        ) is not true

),

ordered as (

    select
        as_of_date,
        person_key,
        started_at,
        ended_at,
        lag(ended_at) over (partition by as_of_date, person_key, device_key order by started_at) as previous_ended_at
    from sessions

),

too_close as (

    select
        'a gap of no more than 30 minutes' as problem,
        as_of_date,
        person_key
    from ordered
    where
        (ended_at >= started_at) is not true
        or started_at <= previous_ended_at + interval '30' minute

),

final as (

    select * from counted_otherwise
    union all
    select * from too_close

)

select * from final
