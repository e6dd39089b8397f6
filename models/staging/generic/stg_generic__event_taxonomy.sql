-- What each event_name means here.
with raw_taxonomy as (

    select * from {{ source('generic', 'event_taxonomy') }}

),

final as (

    select
        event_name,
        event_type,
        case
            -- Sent by the server, not done by the user; and nobody buys without being there.
            when event_type in ('message_sent', 'refund') then false
            when event_type = 'purchase' then true
            else coalesce(lower(is_activity), 'true') = 'true'
        end as is_activity
    from raw_taxonomy
    where event_name is not null

)

select * from final
