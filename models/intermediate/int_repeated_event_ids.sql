-- Ids that were seen more than once on a day: the few rows among which int_events looks for duplicates.
-- Counting hashes finds them at half the price of ranking all events by their ids; a hash that two ids share
-- does no harm, since int_events compares the ids themselves.
{{ config(materialized='table') }}

with events as (

    select * from {{ ref('stg_events') }}

),

final as (

    select {{ event_id_day_hash('event_id', local_date('event_at')) }} as event_id_day_hash
    from events
    group by 1
    having count(*) > 1

)

select * from final
