-- A person_key is one person, and a pair of ids is one person's at each as-of date from the day on which it was first
-- seen. person_key and pair_key are 64-bit hashes: two people with the same one would be merged, their events added up.
-- It is not to be expected below a billion people.
with people as (

    select * from {{ ref('int_people') }}

),

merged as (

    select person_key as ambiguous_key
    from people
    group by person_key
    having count(distinct user_id) <> 1 or count(person_key) <> count(*)

),

in_order as (

    select
        pair_key,
        known_from,
        known_to,
        lead(known_from, 1, {{ end_of_time() }}) over (partition by pair_key order by known_from) as next_from
    from people

),

claimed_twice_or_never as (

    select pair_key as ambiguous_key
    from in_order
    where (known_from < known_to and known_to = next_from) is not true

),

shared as (

    select min(pair_key) as ambiguous_key
    from people
    group by user_key, device_key
    having count(distinct pair_key) > 1

),

lost as (

    select identities.pair_key as ambiguous_key
    from {{ ref('int_identities') }} as identities
    left join people
        on identities.pair_key = people.pair_key and identities.first_seen_on = people.known_from
    where people.pair_key is null

),

final as (

    select * from merged
    union all
    select * from claimed_twice_or_never
    union all
    select * from shared
    union all
    select * from lost

)

select * from final
