-- The vocabulary of the segments: one row for everybody with activity up to the as-of date. A window of N days is the
-- N days that end on the as-of date, itself included (`days_ago < N`).
{{ config(materialized='table') }}

with people as (

    select distinct
        as_of_date,
        person_key,
        user_id
    from {{ ref('int_people') }}

),

sessions as (

    select
        as_of_date,
        person_key,
        sum(case when days_ago < 7 then 1 else 0 end) as sessions_7d,
        sum(case when days_ago < 28 then 1 else 0 end) as sessions_28d,
        count(*) as sessions_lifetime,
        -- A session that started in the window spent all its time in it.
        sum(case when days_ago < 28 then seconds end) as session_seconds_28d
    from {{ ref('int_sessions') }}
    group by as_of_date, person_key

),

user_days as (

    select
        *,
        lag(case when events > 0 then event_date end ignore nulls) over (
            partition by as_of_date, person_key order by event_date
        ) as previous_active_date,
        min(case when purchases > 0 then event_date end) over (
            partition by as_of_date, person_key
        ) as first_purchase_date
    from {{ ref('int_user_days') }}

),

totals as (

    select
        as_of_date,
        person_key,

        max(case when events > 0 then days_ago end) as days_since_first_active,
        min(case when events > 0 then days_ago end) as days_since_last_active,
        max(case when events > 0 then event_date end) as last_active_date,
        sum(case when events > 0 and days_ago < 7 then 1 else 0 end) as active_days_7d,
        sum(case when events > 0 and days_ago < 28 then 1 else 0 end) as active_days_28d,
        sum(case when events > 0 then 1 else 0 end) as active_days_lifetime,
        sum(case when days_ago < 28 then events else 0 end) as events_28d,
        sum(case when days_ago < 90 then is_mobile_active else 0 end) as mobile_active_days_90d,
        sum(case when days_ago < 90 then is_desktop_active else 0 end) as desktop_active_days_90d,

        sum(case when purchases > 0 and days_ago < 28 then 1 else 0 end) as purchase_days_28d,
        sum(case when purchases > 0 and days_ago < 365 then 1 else 0 end) as purchase_days_365d,
        sum(case when purchases > 0 then 1 else 0 end) as purchase_days_lifetime,
        sum(purchases) as purchases_lifetime,
        sum(case when days_ago < 28 then revenue end) as revenue_28d,
        sum(case when days_ago < 365 then revenue end) as revenue_365d,
        sum(revenue) as revenue_lifetime,
        max(case when purchases > 0 then days_ago end) as days_since_first_purchase,
        min(case when purchases > 0 then days_ago end) as days_since_last_purchase,
        sum(case when event_date > first_purchase_date then purchase_revenue end) as repeat_purchase_revenue,
        sum(case when event_date > first_purchase_date and purchase_revenue is not null then 1 else 0 end)
            as repeat_purchase_days_with_revenue,

        max(last_purchase_at) as last_purchase_at,
        max(last_add_to_cart_at) as last_add_to_cart_at,
        max(last_checkout_start_at) as last_checkout_start_at,
        min(case when last_add_to_cart_at is not null then days_ago end) as days_since_last_add_to_cart,
        min(case when last_checkout_start_at is not null then days_ago end) as days_since_last_checkout_start,

        sum(case when days_ago < 28 then support_contacts else 0 end) as support_contacts_28d,
        sum(case when days_ago < 28 then support_views else 0 end) as support_views_28d,
        sum(case when days_ago < 28 then errors else 0 end) as errors_28d,
        sum(case when days_ago < 28 then searches else 0 end) as searches_28d
    from user_days
    group by as_of_date, person_key
    having max(events) > 0

),

last_active_days as (

    select
        as_of_date,
        person_key,
        event_date,
        {{ days_between('previous_active_date', 'event_date') }} as days_between_last_two_active_days
    from user_days
    where events > 0

),

last_nps as (

    select * from {{ ref('int_last_nps') }}

),

traits as (

    select * from {{ ref('int_user_traits') }}

),

-- Scores among the buyers, by how many of them do strictly worse: equal values get equal scores, 5 is best.
buyers as (

    select
        as_of_date,
        person_key,
        count(*) over (partition by as_of_date) as buyers,
        rank() over (partition by as_of_date order by days_since_last_purchase desc) - 1 as worse_by_recency,
        rank() over (partition by as_of_date order by purchase_days_lifetime) - 1 as worse_by_frequency,
        rank() over (partition by as_of_date order by coalesce(revenue_lifetime, 0)) - 1 as worse_by_money
    from totals
    where purchase_days_lifetime > 0

),

final as (

    select
        totals.as_of_date,
        people.user_id,

        totals.days_since_first_active,
        totals.days_since_last_active,
        last_active_days.days_between_last_two_active_days,
        totals.active_days_7d,
        totals.active_days_28d,
        totals.active_days_lifetime,
        coalesce(sessions.sessions_7d, 0) as sessions_7d,
        coalesce(sessions.sessions_28d, 0) as sessions_28d,
        coalesce(sessions.sessions_lifetime, 0) as sessions_lifetime,
        totals.events_28d,
        coalesce(sessions.session_seconds_28d / nullif(sessions.sessions_28d, 0) / 60, 0) as avg_session_minutes_28d,
        totals.mobile_active_days_90d,
        totals.desktop_active_days_90d,

        totals.purchase_days_28d,
        totals.purchase_days_365d,
        totals.purchase_days_lifetime,
        totals.purchases_lifetime,
        coalesce(totals.revenue_28d, 0) as revenue_28d,
        coalesce(totals.revenue_365d, 0) as revenue_365d,
        coalesce(totals.revenue_lifetime, 0) as revenue_lifetime,
        totals.days_since_first_purchase,
        totals.days_since_last_purchase,
        case
            when totals.purchase_days_lifetime = 1 then 0
            when totals.purchase_days_lifetime > 1
                then totals.repeat_purchase_revenue / nullif(totals.repeat_purchase_days_with_revenue, 0)
        end as avg_purchase_day_revenue_repeat,
        -- A purchase in the same instant closes the cart.
        case
            when totals.last_purchase_at >= totals.last_add_to_cart_at then null
            else totals.days_since_last_add_to_cart
        end as days_since_abandoned_cart,
        case
            when totals.last_purchase_at >= totals.last_checkout_start_at then null
            else totals.days_since_last_checkout_start
        end as days_since_abandoned_checkout,
        1 + floor(5.0 * buyers.worse_by_recency / buyers.buyers) as r_score,
        1 + floor(5.0 * buyers.worse_by_frequency / buyers.buyers) as f_score,
        1 + floor(5.0 * buyers.worse_by_money / buyers.buyers) as m_score,

        totals.support_contacts_28d,
        totals.support_views_28d,
        totals.errors_28d,
        totals.searches_28d,
        last_nps.last_nps_score,
        last_nps.days_since_last_nps,

        traits.plan,
        traits.country,
        traits.language,
        traits.device_type,
        traits.channel
    from totals
    inner join people
        on totals.as_of_date = people.as_of_date and totals.person_key = people.person_key
    left join last_active_days
        on
            totals.as_of_date = last_active_days.as_of_date
            and totals.person_key = last_active_days.person_key
            and totals.last_active_date = last_active_days.event_date
    left join sessions
        on totals.as_of_date = sessions.as_of_date and totals.person_key = sessions.person_key
    left join buyers
        on totals.as_of_date = buyers.as_of_date and totals.person_key = buyers.person_key
    left join last_nps
        on totals.as_of_date = last_nps.as_of_date and totals.person_key = last_nps.person_key
    left join traits
        on totals.as_of_date = traits.as_of_date and totals.person_key = traits.person_key

)

select * from final
