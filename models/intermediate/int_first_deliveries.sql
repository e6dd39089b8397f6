-- The events whose id was delivered more than once, each once a day: the few rows that int_events may not take as they
-- come. Counting 64-bit hashes of the ids finds them for less than ranking all events by id; ids that merely
-- share a hash are told apart here, so the answer is exact.
{{ config(materialized='table') }}

-- stg_events is named twice, not imported once: DuckDB would keep a shared CTE as a copy of all events.
with repeated as (

    select {{ hash64('event_id') }} as event_id_hash
    from {{ ref('stg_events') }}
    group by 1
    having count(*) > 1

),

deliveries as (

    select
        *,
        {{ hash64('event_id') }} as event_id_hash,
        {{ local_date('event_at') }} as event_date
    from {{ ref('stg_events') }}
    where {{ hash64('event_id') }} in (select repeated.event_id_hash from repeated)

),

ranked as (

    -- The same id on the same day is one event: the first received counts, and of those the one whose text sorts first.
    select
        *,
        row_number() over (
            partition by event_id, event_date
            order by
                received_at, event_at, event_name, user_id, anonymous_id, session_id, platform, device_type, os,
                country, language, channel, page_path, referrer, item_category, search_query, quantity, revenue,
                currency, properties
        ) as delivery
    from deliveries

),

final as (

    select
        event_id_hash,
        event_date,
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
        properties
    from ranked
    where delivery = 1

)

select * from final
