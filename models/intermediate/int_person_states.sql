-- What a person's totals at an as-of date are made of, as one number: their days, and the windows that these lie in.
-- Dates with the same number have the same totals, so int_user_totals computes what is new alone: of people who did
-- something, and of those for whom a day left a window. That two different states get the same number is as unlikely as
-- any two 64-bit hashes.
{{ config(materialized='table') }}

with person_days as (

    select * from {{ ref('int_person_days') }}

),

final as (

    select
        as_of_date,
        person_key,
        {{ hash64_of_all([sum_of_hashes(hash64_of_all(['row_key', 'window_days', 'core_action_week']))]) }} as state_key
    from person_days
    group by as_of_date, person_key

)

select * from final
