-- What each pair of ids viewed, bought and searched for on each day: the item categories and the search terms, which
-- int_half_hours leaves out, since half an hour may have any number of them.
-- depends_on: {{ ref('int_changed_days') }}, {{ ref('int_changed_files') }}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    full_refresh=stored_models_full_refresh(),
    partition_by='event_date',
    pre_hook="{% if is_incremental() %}{{ delete_days('select event_date from '
        ~ ref('int_changed_days')) }}{% endif %}",
) }}

with events as (

    select
        *,
        case when event_type = 'search' then {{ normalised_text('search_query') }} else item_category end as interest
    from {{ ref('int_events') }}
    where
        event_type in ('content_view', 'purchase', 'search')
    {%- if is_incremental() %}
        and event_date in (select changed_days.event_date from {{ ref('int_changed_days') }} as changed_days)
        and source_file in (select changed_files.source_file from {{ ref('int_changed_files') }} as changed_files)
        {{ and_on_stored_days('stored_day', 'select event_date from ' ~ ref('int_changed_days')) }}
        {%- endif %}

),

final as (

    select
        {{ hash64_of_all(['user_key', 'device_key']) }} as pair_key,
        event_date,
        event_type,
        interest,
        cast(count(*) as integer) as times,
        max(event_at) as last_event_at
    from events
    where interest is not null
    group by user_key, device_key, event_date, event_type, interest

)

select * from final
