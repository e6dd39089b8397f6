-- Which kinds of events int_key_events holds. A table of a handful of rows: who joins it need not look at all events,
-- and the warehouse knows how few it has.
{{ config(materialized='table') }}

with key_events as (

    select * from {{ ref('int_key_events') }}

),

final as (

    select distinct
        event_name,
        event_type
    from key_events

)

select * from final
