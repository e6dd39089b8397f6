-- The segments of each combination at the latest as-of date, by their hash alone: what product analytics joins people
-- with. A table: texts in the place of hashes would take twice as long, and so would asking the view of all sets again.
{{ config(materialized='table') }}

with latest as (

    select max(as_of_date) as as_of_date
    from {{ ref('int_as_of_dates') }}

),

final as (

    select
        every_date.combination_key,
        {{ hash64_of_all(['every_date.segment_set', 'every_date.segment']) }} as segment_key
    from {{ ref('int_combination_segments') }} as every_date
    where every_date.as_of_date = (select latest.as_of_date from latest)

)

select * from final
