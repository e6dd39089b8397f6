-- Every event once, with its day, its type and its money in the reporting currency.
-- A view: the wide rows are never copied, each reader takes the columns that it needs in one pass.
with delivered_once as (

    select
        event_id,
        event_name,
        event_at,
        received_at,
        user_id,
        anonymous_id,
        session_id,
        platform,
        device_type,
        os,
        country,
        language,
        channel,
        page_path,
        referrer,
        item_category,
        search_query,
        quantity,
        revenue,
        currency,
        properties,
        {{ local_date('event_at') }} as event_date
    from {{ ref('stg_events') }}
    where
        {{ hash64('event_id') }} not in (
            select repeated.event_id_hash from {{ ref('int_first_deliveries') }} as repeated
        )

),

first_deliveries as (

    select
        event_id,
        event_name,
        event_at,
        received_at,
        user_id,
        anonymous_id,
        session_id,
        platform,
        device_type,
        os,
        country,
        language,
        channel,
        page_path,
        referrer,
        item_category,
        search_query,
        quantity,
        revenue,
        currency,
        properties,
        event_date
    from {{ ref('int_first_deliveries') }}

),

deduplicated as (

    select * from delivered_once
    union all
    select * from first_deliveries

),

event_taxonomy as (

    select * from {{ ref('stg_generic__event_taxonomy') }}

),

exchange_rates as (

    select * from {{ ref('stg_generic__exchange_rates') }}

),

final as (

    select
        deduplicated.event_id,
        deduplicated.event_name,
        coalesce(event_taxonomy.event_type, 'other') as event_type,
        coalesce(event_taxonomy.is_activity, true) as is_activity,
        deduplicated.event_at,
        deduplicated.event_date,
        deduplicated.received_at,
        deduplicated.user_id,
        deduplicated.anonymous_id,
        {{ hash64('deduplicated.user_id') }} as user_key,
        {{ hash64('deduplicated.anonymous_id') }} as device_key,
        deduplicated.session_id,
        deduplicated.platform,
        deduplicated.device_type,
        deduplicated.os,
        deduplicated.country,
        deduplicated.language,
        deduplicated.channel,
        deduplicated.page_path,
        deduplicated.referrer,
        deduplicated.item_category,
        deduplicated.search_query,
        deduplicated.quantity,
        case
            when coalesce(deduplicated.currency, '{{ var("currency") }}') = '{{ var("currency") }}'
                then deduplicated.revenue
            else cast(deduplicated.revenue * exchange_rates.rate as decimal(18, 4))
        end as revenue,
        deduplicated.properties
    from deduplicated
    left join event_taxonomy
        on deduplicated.event_name = event_taxonomy.event_name
    left join exchange_rates
        on deduplicated.currency = exchange_rates.currency and deduplicated.event_date = exchange_rates.rate_date

)

select * from final
