-- Who is who: every pair of user_id and anonymous_id that was seen on an event, and since when.
{{ config(materialized='table') }}

with events as (

    select * from {{ ref('int_unique_events') }}

),

final as (

    select
        user_key,
        device_key,
        min(user_id) as user_id,
        min(anonymous_id) as anonymous_id,
        min(event_at) as first_seen_at,
        min(event_date) as first_seen_on
    from events
    group by user_key, device_key

)

select * from final
