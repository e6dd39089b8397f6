-- The key events up to the latest as-of date, each with the person whose it is then.
with key_events as (

    select * from {{ ref('int_key_events') }}

),

latest as (

    select max(as_of_date) as as_of_date
    from {{ ref('int_as_of_dates') }}

),

people as (

    select
        pair_key,
        person_key
    from {{ ref('int_people') }}
    where
        known_from <= (select latest.as_of_date from latest)
        and known_to > (select latest.as_of_date from latest)

),

final as (

    select
        people.person_key,
        key_events.event_date,
        key_events.event_at,
        key_events.event_name,
        key_events.event_type
    from key_events
    inner join people
        on key_events.pair_key = people.pair_key
    where key_events.event_date <= (select latest.as_of_date from latest)

)

select * from final
