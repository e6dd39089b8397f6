-- An event_id occurs once a day in int_events, and what is activity follows from the type: a purchase is, a message
-- sent and a refund are not.
with repeated as (

    select
        event_id,
        event_date,
        'repeated' as problem
    from {{ ref('int_events') }}
    group by event_id, event_date
    having count(*) > 1

),

wrong as (

    select
        event_id,
        event_date,
        'no key, or wrong activity' as problem
    from {{ ref('int_events') }}
    where
        (
            event_id is not null
            and event_date is not null
            and is_activity = case
                when event_type = 'purchase' then true
                when event_type in ('message_sent', 'refund') then false
                else is_activity
            end
        ) is not true

),

final as (

    select * from repeated
    union all
    select * from wrong

)

select * from final
