-- Descriptive traits of each person in force on the as-of date: what the application says (users), else what the
-- events showed: the channel that was seen first; country, language and device type as seen last.
with person_days as (

    select * from {{ ref('int_person_days') }}

),

event_traits as (

    select * from {{ ref('int_event_traits') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

aliases as (

    select * from {{ ref('int_aliases') }}

),

users as (

    select * from {{ ref('stg_generic__users') }}

),

ranked_users as (

    select
        as_of_dates.as_of_date,
        {{ hash64('coalesce(aliases.user_id, users.user_id)') }} as person_key,
        users.plan,
        users.country,
        users.language,
        users.channel,
        row_number() over (
            partition by as_of_dates.as_of_date, coalesce(aliases.user_id, users.user_id)
            order by
                users.updated_at is null, users.updated_at desc, users.user_id desc, users.plan desc,
                users.country desc, users.language desc, users.channel desc
        ) as newest
    from users
    inner join as_of_dates
        on users.updated_at is null or {{ local_date('users.updated_at') }} <= as_of_dates.as_of_date
    left join aliases
        on
            users.user_id = aliases.previous_id
            and as_of_dates.as_of_date >= aliases.known_from
            and as_of_dates.as_of_date < aliases.known_to

),

-- Few combinations a person: the four traits are then picked from a fraction of the rows.
sightings as (

    select
        as_of_date,
        person_key,
        traits_key,
        min(first_event_at) as first_seen_at,
        max(last_event_at) as last_seen_at
    from person_days
    group by as_of_date, person_key, traits_key

),

seen as (

    select
        sightings.as_of_date,
        sightings.person_key,
        {{ value_at_max('event_traits.country', 'sightings.last_seen_at') }} as country,
        {{ value_at_max('event_traits.language', 'sightings.last_seen_at') }} as language,
        {{ value_at_min('event_traits.channel', 'sightings.first_seen_at') }} as channel,
        {{ value_at_max('event_traits.device_type', 'sightings.last_seen_at') }} as device_type
    from sightings
    inner join event_traits
        on sightings.traits_key = event_traits.traits_key
    group by sightings.as_of_date, sightings.person_key

),

final as (

    select
        seen.as_of_date,
        seen.person_key,
        ranked_users.plan,
        coalesce(ranked_users.country, seen.country) as country,
        coalesce(ranked_users.language, seen.language) as language,
        coalesce(ranked_users.channel, seen.channel) as channel,
        seen.device_type
    from seen
    left join ranked_users
        on
            seen.as_of_date = ranked_users.as_of_date
            and seen.person_key = ranked_users.person_key
            and ranked_users.newest = 1

)

select * from final
