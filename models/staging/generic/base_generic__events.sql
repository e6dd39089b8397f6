-- Every raw row of the collector, typed, with the reason why it cannot be used, if there is one.
with raw_events as (

    select * from {{ source('generic', 'events') }}

),

typed as (

    select
        nullif(event_id, '') as event_id,
        nullif(event_name, '') as event_name,
        nullif(user_id, '') as user_id,
        nullif(anonymous_id, '') as anonymous_id,
        nullif(session_id, '') as session_id,
        lower(nullif(platform, '')) as platform,
        lower(nullif(device_type, '')) as device_type,
        nullif(os, '') as os,
        upper(nullif(country, '')) as country,
        lower(nullif(language, '')) as language,
        nullif(channel, '') as channel,
        nullif(page_path, '') as page_path,
        nullif(referrer, '') as referrer,
        nullif(item_category, '') as item_category,
        nullif(search_query, '') as search_query,
        upper(nullif(currency, '')) as currency,
        properties,
        source_file,
        event_at as event_at_as_sent,
        received_at as received_at_as_sent,
        quantity as quantity_as_sent,
        revenue as revenue_as_sent,
        -- Before event_at has the name of what it was made of.
        {{ stored_day('event_at') }} as stored_day,
        {{ try_timestamp('event_at') }} as event_at,
        {{ try_timestamp('received_at') }} as received_at,
        {{ try_integer('quantity') }} as quantity,
        {{ try_number('revenue', 'decimal(16, 4)') }} as revenue
    from raw_events

),

final as (

    select
        *,
        case
            when
                event_id is null and event_name is null and event_at_as_sent is null
                and user_id is null and anonymous_id is null
                then 'unreadable or empty row'
            when event_id is null then 'no event_id'
            when event_name is null then 'no event_name'
            when event_at_as_sent is null then 'no event_at'
            when event_at is null then 'event_at is no timestamp'
            when user_id is null and anonymous_id is null then 'neither user_id nor anonymous_id'
            -- A clock that runs ahead would make its user the most active of all tomorrow.
            when event_at > coalesce(received_at, {{ run_started_at_utc() }}) + interval '1' day
                then 'event_at more than a day after received_at'
        end as rejection_reason
    from typed

)

select * from final
