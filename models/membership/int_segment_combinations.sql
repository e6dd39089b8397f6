-- The combinations of segments that users are in at each as-of date, and how many users each has: some thousand rows
-- stand for everybody where only numbers are asked for.
{{ config(materialized='table') }}

with user_segments as (

    select * from {{ ref('int_user_segments') }}

),

final as (

    select
        as_of_date,
        combination_key,
        {{ segment_columns() | join(',\n        ') }},
        count(*) as people
    from user_segments
    group by
        as_of_date,
        combination_key,
        {{ segment_columns() | join(',\n        ') }}

)

select * from final
