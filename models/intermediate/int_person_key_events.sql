-- The key events up to each as-of date, each with the person whose it is at that date.
with key_events as (

    select * from {{ ref('int_key_events') }}

),

people as (

    select
        as_of_dates.as_of_date,
        people.pair_key,
        people.person_key
    from {{ ref('int_people') }} as people
    inner join {{ ref('int_as_of_dates') }} as as_of_dates
        on people.known_from <= as_of_dates.as_of_date and people.known_to > as_of_dates.as_of_date

),

final as (

    select
        people.as_of_date,
        people.person_key,
        key_events.event_date,
        key_events.event_at,
        key_events.event_name,
        key_events.event_type
    from key_events
    inner join people
        on key_events.pair_key = people.pair_key and key_events.event_date <= people.as_of_date

)

select * from final
