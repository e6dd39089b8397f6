-- What each pair of ids did in each half hour: the one pass over the events, and all that later models know of them.
-- Half hours, because two events of one half hour are never more than 30 minutes apart: sessions can be put together
-- from these rows, exactly, for any identities and any as-of date, without sorting the events.
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

    select * from {{ ref('int_events') }}
    {%- if is_incremental() %}
    where
        event_date in (select changed_days.event_date from {{ ref('int_changed_days') }} as changed_days)
        and source_file in (select changed_files.source_file from {{ ref('int_changed_files') }} as changed_files)
        {{ and_on_stored_days('stored_day', 'select event_date from ' ~ ref('int_changed_days')) }}
    {%- endif %}

),

final as (

    select
        {{ hash64_of_all(['user_key', 'device_key']) }} as pair_key,
        user_key,
        device_key,
        event_date,
        {{ half_hour_of('event_at') }} as half_hour,
        {{ hash64_of_all(['country', 'language', 'channel', 'device_type']) }} as traits_key,
        min(event_at) as first_event_at,
        max(event_at) as last_event_at,
        min(case when is_activity then event_at end) as first_activity_at,
        max(case when is_activity then event_at end) as last_activity_at,
        cast(count(case when is_activity then 1 end) as integer) as events,
        cast(count(case when event_type = 'purchase' then 1 end) as integer) as purchases,
        cast(sum(case when event_type = 'purchase' then revenue end) as decimal(18, 4)) as purchase_revenue,
        cast(sum(case when event_type in ('purchase', 'refund') then revenue end) as decimal(18, 4)) as revenue,
        max(case when event_type = 'purchase' then event_at end) as last_purchase_at,
        max(case when event_type = 'add_to_cart' then event_at end) as last_add_to_cart_at,
        max(case when event_type = 'checkout_start' then event_at end) as last_checkout_start_at,
        cast(count(case when event_type = 'support_contact' then 1 end) as integer) as support_contacts,
        cast(count(case when event_type = 'support_view' then 1 end) as integer) as support_views,
        cast(count(case when event_type = 'error' then 1 end) as integer) as errors,
        cast(count(case when event_type = 'search' then 1 end) as integer) as searches,
        cast(count(case when event_type = 'content_view' then 1 end) as integer) as content_views,
        cast(count(case when event_type = 'core_start' then 1 end) as integer) as core_starts,
        cast(count(case when event_type = 'core_action' then 1 end) as integer) as core_actions,
        cast(count(case when event_type = 'message_sent' then 1 end) as integer) as messages_sent,
        cast(count(case when event_type = 'message_opened' then 1 end) as integer) as messages_opened,
        cast(count(case when event_type = 'referral' then 1 end) as integer) as referrals,
        max(case when event_type = 'sign_up' then event_at end) as last_sign_up_at,
        max(case when event_type = 'unsubscribe' then event_at end) as last_unsubscribe_at,
        -- For the input's health: all events, activity or not, and those of which something is not known.
        cast(count(*) as integer) as all_events,
        cast(count(case when not is_listed then 1 end) as integer) as unlisted_events,
        cast(count(case when is_unconverted then 1 end) as integer) as unconverted_events,
        max(received_at) as last_received_at
    from events
    group by user_key, device_key, event_date, half_hour, traits_key

)

select * from final
