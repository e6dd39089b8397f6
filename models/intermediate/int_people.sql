-- Whose each pair of ids is, as known at the end of the as-of date.
-- A table: five models ask, and would each find the owners of all devices again.
{{ config(materialized='table') }}

with as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

identities as (

    select
        as_of_dates.as_of_date,
        identities.pair_key,
        identities.user_key,
        identities.device_key,
        identities.user_id,
        identities.anonymous_id,
        identities.first_seen_at
    from {{ ref('int_identities') }} as identities
    inner join as_of_dates
        on identities.first_seen_on <= as_of_dates.as_of_date

),

aliases as (

    select * from {{ ref('int_aliases') }}

),

identified as (

    select
        as_of_date,
        device_key,
        user_id,
        row_number() over (partition by as_of_date, device_key order by first_seen_at, user_id) as nth_user
    from identities
    where user_id is not null and device_key is not null

),

device_owners as (

    -- A device's anonymous past belongs to the first user that it was ever identified as.
    select
        as_of_date,
        device_key,
        user_id
    from identified
    where nth_user = 1

),

named as (

    select
        identities.as_of_date,
        identities.pair_key,
        identities.user_key,
        identities.device_key,
        coalesce(identities.user_id, device_owners.user_id, 'anon:' || identities.anonymous_id) as user_id
    from identities
    left join device_owners
        on
            identities.as_of_date = device_owners.as_of_date
            and identities.device_key = device_owners.device_key

),

final as (

    select
        named.as_of_date,
        named.pair_key,
        named.user_key,
        named.device_key,
        coalesce(aliases.user_id, named.user_id) as user_id,
        {{ hash64('coalesce(aliases.user_id, named.user_id)') }} as person_key
    from named
    left join aliases
        on named.as_of_date = aliases.as_of_date and named.user_id = aliases.previous_id

)

select * from final
