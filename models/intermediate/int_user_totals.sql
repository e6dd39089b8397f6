-- What each person did, added up: in all, and in the windows that end on an as-of date. With dates where the metrics
-- have ages, so that a person who does nothing keeps the row from day to day, until a day leaves a window. Stored:
-- computed are the states that are not there yet (int_person_states), whatever made them new.
-- depends_on: {{ ref('int_people') }}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{% if is_incremental() %}{{ delete_stale_rows(none_of(['person_key', 'state_key'], 'select person_key, '
        ~ 'state_key from ' ~ ref('int_person_states'))) }}{% endif %}",
) }}
{%- set person_days = 'days_anew' if is_incremental() else ref('int_person_days') %}

with states_anew as (

    -- A state that holds at several as-of dates is computed for the first of them.
    select
        person_key,
        state_key,
        min(as_of_date) as as_of_date
    from {{ ref('int_person_states') }}
    {%- if is_incremental() %}
    where
        {{ none_of(
            ['person_key', 'state_key'], 'select known.person_key, known.state_key from ' ~ this ~ ' as known'
        ) }}
    {%- endif %}
    group by person_key, state_key

),

people as (

    select
        person_key,
        min(user_id) as user_id
    from {{ ref('int_people') }}
    {%- if is_incremental() %}
    where person_key in (select states_anew.person_key from states_anew)
    {%- endif %}
    group by person_key

),

{% if is_incremental() -%}
days_anew as (

    select *
    from {{ ref('int_person_days') }}
    where (as_of_date, person_key) in (select states_anew.as_of_date, states_anew.person_key from states_anew)

),

{% endif -%}
-- A person's day may have several rows: a row a device, and where traits changed. What is counted in days goes over
-- them first; what is summed does not have to.
active_days as (

    select
        person_days.as_of_date,
        person_days.person_key,
        person_days.event_date,
        person_days.window_days,
        max(case when event_traits.device_type in ('mobile', 'tablet') then 1 else 0 end) as is_mobile_active,
        max(case when event_traits.device_type = 'desktop' then 1 else 0 end) as is_desktop_active
    from {{ person_days }} as person_days
    inner join {{ ref('int_event_traits') }} as event_traits
        on person_days.traits_key = event_traits.traits_key
    where person_days.events > 0
    group by person_days.as_of_date, person_days.person_key, person_days.event_date, person_days.window_days

),

activity as (

    select
        as_of_date,
        person_key,
        min(event_date) as first_active_date,
        max(event_date) as last_active_date,
        {{ second_largest('event_date') }} as second_last_active_date,
        count(case when window_days <= 7 then 1 end) as active_days_7d,
        count(case when window_days <= 28 then 1 end) as active_days_28d,
        count(*) as active_days_lifetime,
        count(case when is_mobile_active = 1 and window_days <= 90 then 1 end) as mobile_active_days_90d,
        count(case when is_desktop_active = 1 and window_days <= 90 then 1 end) as desktop_active_days_90d
    from active_days
    group by as_of_date, person_key

),

totals as (

    select
        as_of_date,
        person_key,
        sum(case when window_days <= 7 then sessions else 0 end) as sessions_7d,
        sum(case when window_days <= 28 then sessions else 0 end) as sessions_28d,
        sum(sessions) as sessions_lifetime,
        sum(case when window_days <= 28 then session_seconds else 0 end) as session_seconds_28d,
        sum(case when window_days <= 28 then events end) as events_28d,
        sum(case when window_days <= 28 then revenue end) as revenue_28d,
        sum(case when window_days <= 365 then revenue end) as revenue_365d,
        sum(revenue) as revenue_lifetime,
        max(last_purchase_at) as last_purchase_at,
        max(last_add_to_cart_at) as last_add_to_cart_at,
        max(last_checkout_start_at) as last_checkout_start_at,
        max(case when last_add_to_cart_at is not null then event_date end) as last_add_to_cart_date,
        max(case when last_checkout_start_at is not null then event_date end) as last_checkout_start_date,
        sum(case when window_days <= 28 then support_contacts end) as support_contacts_28d,
        sum(case when window_days <= 28 then support_views end) as support_views_28d,
        sum(case when window_days <= 28 then errors end) as errors_28d,
        sum(case when window_days <= 28 then searches end) as searches_28d,
        sum(case when window_days <= 28 then core_starts end) as core_starts_28d,
        sum(case when window_days <= 7 then messages_sent end) as messages_sent_7d,
        sum(case when window_days <= 28 then messages_sent end) as messages_sent_28d,
        sum(case when window_days <= 28 then messages_opened end) as messages_opened_28d,
        sum(referrals) as referrals_lifetime,
        min(case when last_sign_up_at is not null then event_date end) as first_sign_up_date,
        max(last_sign_up_at) as last_sign_up_at,
        max(last_unsubscribe_at) as last_unsubscribe_at,
        max(case when last_unsubscribe_at is not null then event_date end) as last_unsubscribe_date
    from {{ person_days }}
    group by as_of_date, person_key

),

-- What sessions spent on days after the one on which they started: it counts if that day is in the window, too.
first_starts as (

    select
        as_of_date,
        person_key,
        device,
        min(event_date) as event_date
    from {{ person_days }}
    where window_days <= 28 and sessions > 0
    group by as_of_date, person_key, device

),

carried as (

    select
        person_days.as_of_date,
        person_days.person_key,
        sum(person_days.carried_session_seconds) as carried_session_seconds_28d
    from {{ person_days }} as person_days
    inner join first_starts
        on
            person_days.as_of_date = first_starts.as_of_date
            and person_days.person_key = first_starts.person_key
            and person_days.device = first_starts.device
            and person_days.event_date > first_starts.event_date
    where person_days.carried_session_seconds > 0
    group by person_days.as_of_date, person_days.person_key

),

purchase_days as (

    select
        as_of_date,
        person_key,
        event_date,
        window_days,
        sum(purchases) as purchases,
        sum(purchase_revenue) as purchase_revenue,
        min(event_date) over (partition by as_of_date, person_key) as first_purchase_date
    from {{ person_days }}
    where purchases > 0
    group by as_of_date, person_key, event_date, window_days

),

purchases as (

    select
        as_of_date,
        person_key,
        sum(case when window_days <= 28 then 1 else 0 end) as purchase_days_28d,
        sum(case when window_days <= 365 then 1 else 0 end) as purchase_days_365d,
        count(*) as purchase_days_lifetime,
        sum(purchases) as purchases_lifetime,
        min(event_date) as first_purchase_date,
        max(event_date) as last_purchase_date,
        sum(case when event_date > first_purchase_date then purchase_revenue end) as repeat_revenue,
        sum(case when event_date > first_purchase_date and purchase_revenue is not null then 1 else 0 end)
            as repeat_days_with_revenue
    from purchase_days
    group by as_of_date, person_key

),

core_days as (

    select distinct
        as_of_date,
        person_key,
        event_date,
        window_days,
        core_action_week
    from {{ person_days }}
    where core_actions > 0

),

core_actions as (

    select
        as_of_date,
        person_key,
        count(case when window_days <= 28 then 1 end) as core_action_days_28d,
        count(distinct core_action_week) as core_action_weeks_28d,
        count(*) as core_action_days_lifetime
    from core_days
    group by as_of_date, person_key

),

-- Few combinations of traits a person: the four are then picked from a fraction of the rows.
sightings as (

    select
        as_of_date,
        person_key,
        traits_key,
        min(first_event_at) as first_seen_at,
        max(last_event_at) as last_seen_at
    from {{ person_days }}
    group by as_of_date, person_key, traits_key

),

seen as (

    select
        sightings.as_of_date,
        sightings.person_key,
        {{ value_at_max('event_traits.country', 'sightings.last_seen_at') }} as country,
        {{ value_at_max('event_traits.language', 'sightings.last_seen_at') }} as language,
        {{ value_at_min('event_traits.channel', 'sightings.first_seen_at') }} as channel,
        {{ value_at_max('event_traits.device_type', 'sightings.last_seen_at') }} as device_type
    from sightings
    inner join {{ ref('int_event_traits') }} as event_traits
        on sightings.traits_key = event_traits.traits_key
    group by sightings.as_of_date, sightings.person_key

),

final as (

    select
        states_anew.person_key,
        states_anew.state_key,
        people.user_id,

        activity.first_active_date,
        activity.last_active_date,
        activity.second_last_active_date,
        cast(coalesce(activity.active_days_7d, 0) as integer) as active_days_7d,
        cast(coalesce(activity.active_days_28d, 0) as integer) as active_days_28d,
        cast(coalesce(activity.active_days_lifetime, 0) as integer) as active_days_lifetime,
        cast(totals.sessions_7d as integer) as sessions_7d,
        cast(totals.sessions_28d as integer) as sessions_28d,
        cast(totals.sessions_lifetime as integer) as sessions_lifetime,
        cast(coalesce(totals.events_28d, 0) as integer) as events_28d,
        coalesce(
            cast(
                totals.session_seconds_28d + coalesce(carried.carried_session_seconds_28d, 0) as {{ type_double() }}
            )
            / nullif(totals.sessions_28d, 0) / 60, 0
        ) as avg_session_minutes_28d,
        cast(coalesce(activity.mobile_active_days_90d, 0) as integer) as mobile_active_days_90d,
        cast(coalesce(activity.desktop_active_days_90d, 0) as integer) as desktop_active_days_90d,

        cast(coalesce(purchases.purchase_days_28d, 0) as integer) as purchase_days_28d,
        cast(coalesce(purchases.purchase_days_365d, 0) as integer) as purchase_days_365d,
        cast(coalesce(purchases.purchase_days_lifetime, 0) as integer) as purchase_days_lifetime,
        cast(coalesce(purchases.purchases_lifetime, 0) as integer) as purchases_lifetime,
        cast(coalesce(totals.revenue_28d, 0) as decimal(18, 4)) as revenue_28d,
        cast(coalesce(totals.revenue_365d, 0) as decimal(18, 4)) as revenue_365d,
        cast(coalesce(totals.revenue_lifetime, 0) as decimal(18, 4)) as revenue_lifetime,
        purchases.first_purchase_date,
        purchases.last_purchase_date,
        case
            when purchases.purchase_days_lifetime = 1 then 0
            when purchases.purchase_days_lifetime > 1
                then
                    cast(purchases.repeat_revenue as {{ type_double() }})
                    / nullif(purchases.repeat_days_with_revenue, 0)
        end as avg_purchase_day_revenue_repeat,
        -- A purchase in the same instant closes the cart.
        case
            when totals.last_purchase_at >= totals.last_add_to_cart_at then null
            else totals.last_add_to_cart_date
        end as abandoned_cart_date,
        case
            when totals.last_purchase_at >= totals.last_checkout_start_at then null
            else totals.last_checkout_start_date
        end as abandoned_checkout_date,

        cast(coalesce(totals.support_contacts_28d, 0) as integer) as support_contacts_28d,
        cast(coalesce(totals.support_views_28d, 0) as integer) as support_views_28d,
        cast(coalesce(totals.errors_28d, 0) as integer) as errors_28d,
        cast(coalesce(totals.searches_28d, 0) as integer) as searches_28d,

        totals.first_sign_up_date,
        cast(coalesce(totals.core_starts_28d, 0) as integer) as core_starts_28d,
        cast(coalesce(core_actions.core_action_days_28d, 0) as integer) as core_action_days_28d,
        cast(coalesce(core_actions.core_action_weeks_28d, 0) as integer) as core_action_weeks_28d,
        cast(coalesce(core_actions.core_action_days_lifetime, 0) as integer) as core_action_days_lifetime,
        cast(coalesce(totals.referrals_lifetime, 0) as integer) as referrals_lifetime,
        cast(coalesce(totals.messages_sent_7d, 0) as integer) as messages_sent_7d,
        cast(coalesce(totals.messages_sent_28d, 0) as integer) as messages_sent_28d,
        cast(coalesce(totals.messages_opened_28d, 0) as integer) as messages_opened_28d,
        -- Who signs up again wants to hear from us again.
        case
            when totals.last_sign_up_at > totals.last_unsubscribe_at then null
            else totals.last_unsubscribe_date
        end as unsubscribed_date,

        seen.country as seen_country,
        seen.language as seen_language,
        seen.channel as seen_channel,
        seen.device_type as seen_device_type
    from states_anew
    inner join people
        on states_anew.person_key = people.person_key
    inner join totals
        on states_anew.as_of_date = totals.as_of_date and states_anew.person_key = totals.person_key
    left join activity
        on states_anew.as_of_date = activity.as_of_date and states_anew.person_key = activity.person_key
    left join carried
        on states_anew.as_of_date = carried.as_of_date and states_anew.person_key = carried.person_key
    left join purchases
        on states_anew.as_of_date = purchases.as_of_date and states_anew.person_key = purchases.person_key
    left join core_actions
        on states_anew.as_of_date = core_actions.as_of_date and states_anew.person_key = core_actions.person_key
    left join seen
        on states_anew.as_of_date = seen.as_of_date and states_anew.person_key = seen.person_key

)

select * from final
