-- What each person did on each device on each day, as it is known from one as-of date to another: when a device is
-- identified, its days are the device's own for the as-of dates before, and the user's for those after. All metrics are
-- sums over these rows, for any as-of date.
-- Two kinds of rows are built anew: those of changed days and of the days after them, into which a session may go on,
-- and those of persons who gained or lost a pair of ids (version_key).
-- depends_on: {{ ref('int_days_nearby') }}, {{ ref('int_identities') }}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    full_refresh=stored_models_full_refresh(),
    partition_by='event_date',
    pre_hook="{% if is_incremental() %}{{ delete_stale_rows('event_date in (select event_date from '
        ~ ref('int_days_nearby') ~ ' where days_off in (0, 1)) or ' ~ none_of('version_key', 'select version_key from '
        ~ ref('int_people'))) }}{% endif %}",
) }}

with
{% if is_incremental() -%}
days_anew as (

    select distinct event_date
    from {{ ref('int_days_nearby') }}
    where days_off in (0, 1)

),

days_to_read as (

    select distinct event_date
    from {{ ref('int_days_nearby') }}
    where days_off between -1 and 1

),

versions_anew as (

    select version_key
    from {{ ref('int_people') }}
    where {{ none_of('version_key', 'select known.version_key from ' ~ this ~ ' as known') }}

),

{% endif -%}
-- Half hours with the persons whose they are, from when to when.
half_hours as (

    select
        people.version_key,
        people.person_key,
        people.device_key,
        people.known_from,
        people.known_to,
        half_hours.pair_key,
        half_hours.event_date,
        half_hours.traits_key,
        half_hours.first_event_at,
        half_hours.last_event_at,
        half_hours.first_activity_at,
        half_hours.last_activity_at,
        half_hours.events,
        half_hours.purchases,
        half_hours.purchase_revenue,
        half_hours.revenue,
        half_hours.last_purchase_at,
        half_hours.last_add_to_cart_at,
        half_hours.last_checkout_start_at,
        half_hours.support_contacts,
        half_hours.support_views,
        half_hours.errors,
        half_hours.searches,
        half_hours.core_starts,
        half_hours.core_actions,
        half_hours.messages_sent,
        half_hours.messages_opened,
        half_hours.referrals,
        half_hours.last_sign_up_at,
        half_hours.last_unsubscribe_at
    from {{ ref('int_half_hours') }} as half_hours
    inner join {{ ref('int_people') }} as people
        on half_hours.pair_key = people.pair_key and half_hours.event_date < people.known_to
    {%- if is_incremental() %}
    where
        (
            half_hours.event_date in (select days_to_read.event_date from days_to_read)
            or people.version_key in (select versions_anew.version_key from versions_anew)
        )
        {#- Where this is asked, rows of changed days are still there: a version of these days alone is new, too. #}
        {{ and_from_first_day(
            'half_hours.event_date',
            '(select event_date from ' ~ ref('int_days_nearby') ~ ' where days_off between -1 and 1 union all '
            ~ 'select identities.first_seen_on from ' ~ ref('int_identities') ~ ' as identities inner join '
            ~ ref('int_people') ~ ' as people on identities.pair_key = people.pair_key where '
            ~ none_of('people.version_key', 'select known.version_key from ' ~ this ~ ' as known') ~ ')',
        ) }}
    {%- endif %}

),

activity as (

    select
        version_key,
        event_date,
        traits_key,
        first_activity_at,
        last_activity_at,
        -- The latest activity of all spans before this one: a span may lie inside another (two channels at a time). Of
        -- spans that begin in one instant it is always the same that starts the session, whenever a run sees them.
        max(last_activity_at) over (
            partition by version_key
            order by first_activity_at, last_activity_at, traits_key, pair_key
            rows between unbounded preceding and 1 preceding
        ) as previous_activity_at
    from half_hours
    where events > 0

),

visits as (

    select
        *,
        -- Exactly 30 minutes is still the same visit.
        case when first_activity_at <= previous_activity_at + interval '30' minute then 0 else 1 end as starts_session
    from activity

),

timed as (

    -- The time between two events belongs to the day of the later one.
    select
        *,
        case
            when starts_session = 1 then {{ seconds_between('first_activity_at', 'last_activity_at') }}
            else {{ seconds_between('previous_activity_at', 'greatest(previous_activity_at, last_activity_at)') }}
        end as seconds,
        min(case when starts_session = 1 then first_activity_at end) over (
            partition by version_key, event_date
        ) as first_session_of_day_at
    from visits

),

sessions as (

    -- Activity before the day's first session goes on with one of the day before. What begins in the instant of the
    -- first session is in it.
    select
        version_key,
        event_date,
        traits_key,
        sum(starts_session) as sessions,
        sum(case when first_activity_at >= first_session_of_day_at then seconds else 0 end) as session_seconds,
        sum(case when first_activity_at >= first_session_of_day_at then 0 else seconds end) as carried_session_seconds
    from timed
    group by version_key, event_date, traits_key

),

totals as (

    select
        version_key,
        person_key,
        device_key,
        known_from,
        known_to,
        event_date,
        traits_key,
        min(first_event_at) as first_event_at,
        max(last_event_at) as last_event_at,
        cast(sum(events) as integer) as events,
        cast(sum(purchases) as integer) as purchases,
        cast(sum(purchase_revenue) as decimal(18, 4)) as purchase_revenue,
        cast(sum(revenue) as decimal(18, 4)) as revenue,
        max(last_purchase_at) as last_purchase_at,
        max(last_add_to_cart_at) as last_add_to_cart_at,
        max(last_checkout_start_at) as last_checkout_start_at,
        cast(sum(support_contacts) as integer) as support_contacts,
        cast(sum(support_views) as integer) as support_views,
        cast(sum(errors) as integer) as errors,
        cast(sum(searches) as integer) as searches,
        cast(sum(core_starts) as integer) as core_starts,
        cast(sum(core_actions) as integer) as core_actions,
        cast(sum(messages_sent) as integer) as messages_sent,
        cast(sum(messages_opened) as integer) as messages_opened,
        cast(sum(referrals) as integer) as referrals,
        max(last_sign_up_at) as last_sign_up_at,
        max(last_unsubscribe_at) as last_unsubscribe_at
    from half_hours
    {%- if is_incremental() %}
    where
        event_date in (select days_anew.event_date from days_anew)
        or version_key in (select versions_anew.version_key from versions_anew)
    {%- endif %}
    group by version_key, person_key, device_key, known_from, known_to, event_date, traits_key

),

days as (

    select
        totals.*,
        cast(coalesce(sessions.sessions, 0) as integer) as sessions,
        cast(coalesce(sessions.session_seconds, 0) as decimal(18, 6)) as session_seconds,
        cast(coalesce(sessions.carried_session_seconds, 0) as decimal(18, 6)) as carried_session_seconds
    from totals
    left join sessions
        on
            totals.version_key = sessions.version_key
            and totals.event_date = sessions.event_date
            and totals.traits_key = sessions.traits_key

),

final as (

    select
        *,
        {{ hash64_of_all([
            'version_key', 'event_date', 'traits_key', 'first_event_at', 'last_event_at', 'events', 'sessions',
            'session_seconds', 'carried_session_seconds', 'purchases', 'purchase_revenue', 'revenue',
            'last_purchase_at', 'last_add_to_cart_at', 'last_checkout_start_at', 'support_contacts', 'support_views',
            'errors', 'searches', 'core_starts', 'core_actions', 'messages_sent', 'messages_opened', 'referrals',
            'last_sign_up_at', 'last_unsubscribe_at',
        ]) }} as row_key
    from days

)

select * from final
