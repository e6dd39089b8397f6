-- Every event once: repeated deliveries removed, with its day, its type and its money in the reporting currency.
-- A view: the wide rows are never copied; int_half_hours reads them in one pass.
with collected as (

    select
        *,
        {{ local_date('event_at') }} as event_date
    from {{ ref('stg_events') }}

),

hashed as (

    select
        *,
        {{ event_id_day_hash('event_id', 'event_date') }} as event_id_day_hash
    from collected

),

repeated_event_ids as (

    select * from {{ ref('int_repeated_event_ids') }}

),

event_taxonomy as (

    select * from {{ ref('stg_generic__event_taxonomy') }}

),

exchange_rates as (

    select * from {{ ref('stg_generic__exchange_rates') }}

),

unrepeated as (

    select * from hashed
    where event_id_day_hash not in (select repeated_event_ids.event_id_day_hash from repeated_event_ids)

),

ranked as (

    -- The same id on the same day is one event: the first received counts, then the one whose text sorts first.
    select
        *,
        row_number() over (
            partition by event_id, event_date
            order by
                received_at, event_at, event_name, user_id, anonymous_id, session_id, platform, device_type, os,
                country, language, channel, page_path, referrer, item_category, search_query, quantity, revenue,
                currency, properties
        ) as delivery
    from hashed
    where event_id_day_hash in (select repeated_event_ids.event_id_day_hash from repeated_event_ids)

),

deduplicated as (

    select * from unrepeated
    union all by name
    select * exclude (delivery) from ranked where delivery = 1

),

final as (

    select
        deduplicated.event_id,
        deduplicated.event_name,
        deduplicated.event_at,
        deduplicated.received_at,
        deduplicated.event_date,
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
        deduplicated.currency,
        deduplicated.properties,
        coalesce(event_taxonomy.event_type, 'other') as event_type,
        coalesce(event_taxonomy.is_activity, true) as is_activity,
        case
            when coalesce(deduplicated.currency, '{{ var("currency") }}') = '{{ var("currency") }}' then deduplicated.revenue
            else cast(deduplicated.revenue * exchange_rates.rate as decimal(18, 4))
        end as revenue
    from deduplicated
    left join event_taxonomy
        on deduplicated.event_name = event_taxonomy.event_name
    left join exchange_rates
        on deduplicated.currency = exchange_rates.currency and deduplicated.event_date = exchange_rates.rate_date

)

select * from final
