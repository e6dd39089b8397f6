-- The usable rows of the collector, in the columns of the event contract; repeated deliveries are still among them.
with events as (

    select * from {{ ref('base_generic__events') }}

),

final as (

    select
        event_id,
        event_name,
        event_at,
        coalesce(received_at, event_at) as received_at,
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
        stored_day
    from events
    where rejection_reason is null

)

select * from final
