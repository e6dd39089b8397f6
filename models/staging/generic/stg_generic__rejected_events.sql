-- The rows of the collector that cannot be used, as they were sent, and why.
with events as (

    select * from {{ ref('base_generic__events') }}

),

final as (

    select
        rejection_reason,
        event_id,
        event_name,
        cast(event_at_as_sent as {{ dbt.type_string() }}) as event_at_as_sent,
        cast(received_at_as_sent as {{ dbt.type_string() }}) as received_at_as_sent,
        user_id,
        anonymous_id,
        properties
    from events
    where rejection_reason is not null

)

select * from final
