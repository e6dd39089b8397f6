-- What a person's attempts are made of, as one number: their events of any funnel, and the funnels. Whose number is as
-- before keeps the rows of int_funnel_attempts. That two different states get the same number is as unlikely as any two
-- 64-bit hashes.
{{ config(materialized='table') }}

with funnels as (

    select {{ sum_of_hashes(hash64_of_all(['funnel', 'step', 'event', 'window_seconds'])) }} as funnels_key
    from {{ ref('stg_generic__funnels') }}

),

kinds as (

    select
        event_name,
        event_type,
        min(step) as first_step
    from {{ ref('int_funnel_kinds') }}
    group by event_name, event_type

),

events as (

    select
        person_key_events.person_key,
        kinds.first_step,
        {{ hash64_of_all([
            'person_key_events.event_at', 'person_key_events.event_name', 'person_key_events.event_type'
        ]) }} as event_key
    from {{ ref('int_person_key_events') }} as person_key_events
    inner join kinds
        on
            person_key_events.event_name = kinds.event_name
            and person_key_events.event_type = kinds.event_type

),

people as (

    select
        person_key,
        {{ sum_of_hashes('event_key') }} as event_keys
    from events
    group by person_key
    -- Who never began has no attempt.
    having min(first_step) = 1

),

final as (

    select
        people.person_key,
        {{ hash64_of_all(['people.event_keys', 'funnels.funnels_key']) }} as state_key
    from people
    cross join funnels

)

select * from final
