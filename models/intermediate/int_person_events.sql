-- Every event up to each as-of date, with the person whose it is at that date: for conditions on names, properties and
-- the order of events. A view: each model that reads it passes over the events once, for each as-of date of the run.
-- What the days of a person know (int_person_days: days, sessions, revenue) is a metric of int_user_metrics instead.
with events as (

    select * from {{ ref('int_events') }}

),

people as (

    select
        as_of_dates.as_of_date,
        people.pair_key,
        people.person_key,
        people.user_id
    from {{ ref('int_people') }} as people
    inner join {{ ref('int_as_of_dates') }} as as_of_dates
        on people.known_from <= as_of_dates.as_of_date and people.known_to > as_of_dates.as_of_date

),

final as (

    select
        people.as_of_date,
        people.person_key,
        people.user_id,
        events.event_id,
        events.event_at,
        events.event_date,
        {{ days_between('events.event_date', 'people.as_of_date') }} as days_ago,
        events.event_name,
        events.event_type,
        events.is_activity,
        events.session_id,
        events.platform,
        events.device_type,
        events.os,
        events.country,
        events.language,
        events.channel,
        events.page_path,
        events.referrer,
        events.item_category,
        events.search_query,
        events.quantity,
        events.revenue,
        events.properties
    from events
    inner join people
        on
            {{ hash64_of_all(['events.user_key', 'events.device_key']) }} = people.pair_key
            and events.event_date <= people.as_of_date

)

select * from final
