-- Every event once, with its day and the hashes of its ids: what has to be known of an event before its meaning.
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
        source_file,
        {{ local_date('event_at') }} as event_date,
        stored_day
    from {{ ref('stg_events') }}
    where
        {{ none_of(
            [hash64('event_id'), local_date('event_at')],
            'select repeated.event_id_hash, repeated.event_date from ' ~ ref('int_first_deliveries') ~ ' as repeated',
        ) }}

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
        source_file,
        event_date,
        event_date as stored_day
    from {{ ref('int_first_deliveries') }}

),

unique_events as (

    select * from delivered_once
    union all
    select * from first_deliveries

),

final as (

    select
        *,
        {{ hash64('user_id') }} as user_key,
        {{ hash64('anonymous_id') }} as device_key
    from unique_events

)

select * from final
