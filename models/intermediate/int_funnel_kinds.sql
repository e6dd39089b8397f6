-- Which kinds of events each funnel is about, and for which of its steps: a handful of rows, so that events are joined
-- by equality.
with steps as (

    select * from {{ ref('stg_generic__funnels') }}

),

kinds as (

    select * from {{ ref('int_key_event_kinds') }}

),

final as (

    select
        steps.funnel,
        steps.step,
        steps.event,
        kinds.event_name,
        kinds.event_type,
        -- Short, in place of texts, where every event has one.
        cast(dense_rank() over (order by steps.funnel) as smallint) as funnel_number,
        cast(dense_rank() over (order by kinds.event_name, kinds.event_type) as smallint) as kind_number
    from steps
    inner join kinds
        on {{ word_is_of_event('steps.event', 'kinds.event_name', 'kinds.event_type') }}

)

select * from final
