-- The events whose id was delivered more than once on its day, or is that of another event of the day before or after:
-- each once a day. They are the few that int_unique_events may not take as they come. Counting 64-bit hashes of the ids
-- finds them for less than ranking all events by id; ids that merely share a hash are told apart here, so the answer is
-- exact.
-- depends_on: {{ ref('int_days_nearby') }}, {{ ref('stg_event_days') }}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{% if is_incremental() %}{{ delete_stale_rows('event_date in (select event_date from '
        ~ ref('int_days_nearby') ~ ' where days_off between -1 and 1) or event_date < (select max(first_open_day) from '
        ~ source('runs', 'retention') ~ ')') }}{% endif %}",
) }}
-- stg_events is named twice, not imported once: DuckDB would keep a shared CTE as a copy of all events.
with
{% if is_incremental() -%}
days_to_read as (

    select distinct event_date
    from {{ ref('int_days_nearby') }}

),

days_to_build as (

    select distinct event_date
    from {{ ref('int_days_nearby') }}
    where days_off between -1 and 1

),

files as (

    select source_file
    from {{ ref('stg_event_days') }}
    where event_date in (select days_to_read.event_date from days_to_read)

),

{% endif -%}
repeated as (

    select {{ hash64('event_id') }} as event_id_hash
    from {{ ref('stg_events') }}
    {%- if is_incremental() %}
    where
        source_file in (select files.source_file from files)
        and {{ local_date('event_at') }} in (select days_to_read.event_date from days_to_read)
        {{ and_on_stored_days('stored_day', 'select event_date from ' ~ ref('int_days_nearby')) }}
    {%- endif %}
    group by 1
    having count(*) > 1

),

deliveries as (

    select
        *,
        {{ hash64('event_id') }} as event_id_hash,
        {{ local_date('event_at') }} as event_date
    from {{ ref('stg_events') }}
    where
        {{ hash64('event_id') }} in (select repeated.event_id_hash from repeated)
    {%- if is_incremental() %}
        and source_file in (select files.source_file from files)
        and {{ local_date('event_at') }} in (select days_to_read.event_date from days_to_read)
        {{ and_on_stored_days('stored_day', 'select event_date from ' ~ ref('int_days_nearby')) }}
        {%- endif %}

),

ranked as (

    -- The same id on the same day is one event: the first received counts, and of those the one whose text sorts first.
    select
        *,
        row_number() over (
            partition by event_id, event_date
            order by
                received_at, event_at, event_name, user_id nulls last, anonymous_id nulls last, session_id nulls last,
                platform nulls last, device_type nulls last, os nulls last, country nulls last, language nulls last,
                channel nulls last, page_path nulls last, referrer nulls last, item_category nulls last,
                search_query nulls last, quantity nulls last, revenue nulls last, currency nulls last,
                properties nulls last, source_file
        ) as delivery,
        count(*) over (partition by event_id_hash, event_date) as deliveries
    from deliveries

),

neighbours as (

    select
        *,
        {{ days_between('lag(event_date) over (partition by event_id order by event_date)', 'event_date') }}
            as days_since_used_before,
        {{ days_between('event_date', 'lead(event_date) over (partition by event_id order by event_date)') }}
            as days_until_used_again
    from ranked
    where delivery = 1

),

final as (

    select
        event_id_hash,
        event_date,
        cast(coalesce(days_since_used_before, 0) = 1 as boolean) as is_reused,
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
        source_file
    from neighbours
    where
        (deliveries > 1 or days_since_used_before = 1 or days_until_used_again = 1)
    {%- if is_incremental() %}
        and event_date in (select days_to_build.event_date from days_to_build)
        {%- endif %}

)

select * from final
