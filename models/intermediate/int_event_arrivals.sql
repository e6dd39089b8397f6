-- When each kind of event happened last, up to the as-of date: read from the half hours, so no event is read again.
with half_hours as (

    select * from {{ ref('int_half_hours') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

-- In full before it is read: the half hours are then gone through once, not once a kind.
last_days as {{ materialized() }} (

    select
        as_of_dates.as_of_date,
        max(case when half_hours.events > 0 then half_hours.event_date end) as last_activity,
        max(case when half_hours.purchases > 0 then half_hours.event_date end) as last_purchase,
        max(case when half_hours.last_add_to_cart_at is not null then half_hours.event_date end) as last_add_to_cart,
        max(case when half_hours.last_checkout_start_at is not null then half_hours.event_date end)
            as last_checkout_start,
        max(case when half_hours.support_contacts > 0 then half_hours.event_date end) as last_support_contact,
        max(case when half_hours.support_views > 0 then half_hours.event_date end) as last_support_view,
        max(case when half_hours.errors > 0 then half_hours.event_date end) as last_error,
        max(case when half_hours.searches > 0 then half_hours.event_date end) as last_search,
        max(case when half_hours.content_views > 0 then half_hours.event_date end) as last_content_view,
        max(case when half_hours.core_starts > 0 then half_hours.event_date end) as last_core_start,
        max(case when half_hours.core_actions > 0 then half_hours.event_date end) as last_core_action,
        max(case when half_hours.messages_sent > 0 then half_hours.event_date end) as last_message_sent,
        max(case when half_hours.messages_opened > 0 then half_hours.event_date end) as last_message_opened,
        max(case when half_hours.referrals > 0 then half_hours.event_date end) as last_referral,
        max(case when half_hours.last_sign_up_at is not null then half_hours.event_date end) as last_sign_up,
        max(case when half_hours.last_unsubscribe_at is not null then half_hours.event_date end) as last_unsubscribe
    from as_of_dates
    inner join half_hours
        on as_of_dates.as_of_date >= half_hours.event_date
    group by as_of_dates.as_of_date

),

kinds as (

    {% for event_type in [
        'activity', 'purchase', 'add_to_cart', 'checkout_start', 'support_contact', 'support_view', 'error', 'search',
        'content_view', 'core_start', 'core_action', 'message_sent', 'message_opened', 'referral', 'sign_up',
        'unsubscribe'
    ] -%}
    select
        as_of_date,
        '{{ event_type }}' as event_type,
        last_{{ event_type }} as last_event_date
    from last_days
    {% if not loop.last -%}
    union all
    {% endif -%}
    {%- endfor %}

),

final as (

    select
        as_of_date,
        event_type,
        last_event_date,
        {{ days_between('last_event_date', 'as_of_date') }} as days_since_last_event
    from kinds

)

select * from final
