-- The segments of everybody side by side, on the latest as-of date: int_user_segments as it was when marts were built.
-- A copy, because a backfill evaluates past days there: fct_segment_membership, a view, shows readers what is here.
{{ config(materialized='table') }}

with as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

final as (

    select
        {{ segment_columns() | join(',\n        ') }},
        as_of_date,
        user_id
    from {{ ref('int_user_segments') }}
    where as_of_date = (select max(as_of_dates.as_of_date) from as_of_dates)

)

select * from final
