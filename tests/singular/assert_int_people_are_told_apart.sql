-- A person_key is one person, and a pair of ids is one person's, at each as-of date. person_key and pair_key are 64-bit
-- hashes: two people with the same one would be merged, their events added up. It is not to be expected below a billion
-- people.
with merged as (

    select
        as_of_date,
        person_key as ambiguous_key
    from {{ ref('int_people') }}
    group by as_of_date, person_key
    having count(distinct user_id) <> 1 or count(person_key) <> count(*)

),

claimed_twice as (

    select
        as_of_date,
        min(person_key) as ambiguous_key
    from {{ ref('int_people') }}
    group by as_of_date, user_key, device_key
    having count(*) > 1

),

shared as (

    select
        as_of_date,
        min(person_key) as ambiguous_key
    from {{ ref('int_people') }}
    group by as_of_date, pair_key
    having count(*) > 1

),

final as (

    select * from merged
    union all
    select * from claimed_twice
    union all
    select * from shared

)

select * from final
