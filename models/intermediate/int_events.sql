-- Every event once, with its type and its money in the reporting currency.
with unique_events as (

    select * from {{ ref('int_unique_events') }}

),

event_taxonomy as (

    select * from {{ ref('stg_generic__event_taxonomy') }}

),

exchange_rates as (

    select * from {{ ref('stg_generic__exchange_rates') }}

),

final as (

    select
        unique_events.event_id,
        unique_events.event_name,
        coalesce(event_taxonomy.event_type, 'other') as event_type,
        coalesce(event_taxonomy.is_activity, true) as is_activity,
        unique_events.event_at,
        unique_events.event_date,
        unique_events.received_at,
        unique_events.user_id,
        unique_events.anonymous_id,
        unique_events.user_key,
        unique_events.device_key,
        unique_events.session_id,
        unique_events.platform,
        unique_events.device_type,
        unique_events.os,
        unique_events.country,
        unique_events.language,
        unique_events.channel,
        unique_events.page_path,
        unique_events.referrer,
        unique_events.item_category,
        unique_events.search_query,
        unique_events.quantity,
        case
            when coalesce(unique_events.currency, '{{ var("currency") }}') = '{{ var("currency") }}'
                then unique_events.revenue
            -- The product of two decimals(18) overflows at a million; with room for 28 digits it does not.
            else
                {{ try_number(
                    'cast(unique_events.revenue as decimal(28, 4)) * exchange_rates.rate', 'decimal(16, 4)'
                ) }}
        end as revenue,
        unique_events.properties,
        unique_events.source_file,
        unique_events.stored_day,
        event_taxonomy.event_name is not null as is_listed,
        coalesce(
            event_taxonomy.event_type in ('purchase', 'refund')
            and unique_events.revenue is not null
            and unique_events.currency <> '{{ var("currency") }}'
            and exchange_rates.rate is null, false
        ) as is_unconverted
    from unique_events
    left join event_taxonomy
        on unique_events.event_name = event_taxonomy.event_name
    left join exchange_rates
        on unique_events.currency = exchange_rates.currency and unique_events.event_date = exchange_rates.rate_date

)

select * from final
