-- The vocabulary of the segments: one row for everybody with activity up to the as-of date. A window of N days is the
-- N days that end on the as-of date, itself included (`days_ago < N`).
{{ config(materialized='table') }}

with people as (

    select
        person_key,
        min(user_id) as user_id
    from {{ ref('int_people') }}
    group by person_key

),

-- A person's day may have several rows: a row a device, and where traits changed. What is counted in days goes over
-- them first; what is summed does not have to.
active_days as (

    select
        person_days.as_of_date,
        person_days.person_key,
        person_days.days_ago,
        max(case when event_traits.device_type in ('mobile', 'tablet') then 1 else 0 end) as is_mobile_active,
        max(case when event_traits.device_type = 'desktop' then 1 else 0 end) as is_desktop_active
    from {{ ref('int_person_days') }} as person_days
    inner join {{ ref('int_event_traits') }} as event_traits
        on person_days.traits_key = event_traits.traits_key
    where person_days.events > 0
    group by person_days.as_of_date, person_days.person_key, person_days.days_ago

),

activity as (

    select
        as_of_date,
        person_key,
        max(days_ago) as days_since_first_active,
        min(days_ago) as days_since_last_active,
        {{ second_smallest('days_ago') }} as days_since_second_last_active,
        count(case when days_ago < 7 then 1 end) as active_days_7d,
        count(case when days_ago < 28 then 1 end) as active_days_28d,
        count(*) as active_days_lifetime,
        count(case when is_mobile_active = 1 and days_ago < 90 then 1 end) as mobile_active_days_90d,
        count(case when is_desktop_active = 1 and days_ago < 90 then 1 end) as desktop_active_days_90d
    from active_days
    group by as_of_date, person_key

),

totals as (

    select
        as_of_date,
        person_key,
        sum(case when days_ago < 7 then sessions else 0 end) as sessions_7d,
        sum(case when days_ago < 28 then sessions else 0 end) as sessions_28d,
        sum(sessions) as sessions_lifetime,
        sum(case when days_ago < 28 then session_seconds else 0 end) as session_seconds_28d,
        sum(case when days_ago < 28 then events end) as events_28d,
        sum(case when days_ago < 28 then revenue end) as revenue_28d,
        sum(case when days_ago < 365 then revenue end) as revenue_365d,
        sum(revenue) as revenue_lifetime,
        max(last_purchase_at) as last_purchase_at,
        max(last_add_to_cart_at) as last_add_to_cart_at,
        max(last_checkout_start_at) as last_checkout_start_at,
        min(case when last_add_to_cart_at is not null then days_ago end) as days_since_last_add_to_cart,
        min(case when last_checkout_start_at is not null then days_ago end) as days_since_last_checkout_start,
        sum(case when days_ago < 28 then support_contacts end) as support_contacts_28d,
        sum(case when days_ago < 28 then support_views end) as support_views_28d,
        sum(case when days_ago < 28 then errors end) as errors_28d,
        sum(case when days_ago < 28 then searches end) as searches_28d
    from {{ ref('int_person_days') }}
    group by as_of_date, person_key

),

-- What sessions spent on days after the one on which they started: it counts if that day is in the window, too.
first_starts as (

    select
        as_of_date,
        person_key,
        device,
        min(event_date) as event_date
    from {{ ref('int_person_days') }}
    where days_ago < 28 and sessions > 0
    group by as_of_date, person_key, device

),

carried as (

    select
        person_days.as_of_date,
        person_days.person_key,
        sum(person_days.carried_session_seconds) as carried_session_seconds_28d
    from {{ ref('int_person_days') }} as person_days
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
        days_ago,
        sum(purchases) as purchases,
        sum(purchase_revenue) as purchase_revenue,
        min(event_date) over (partition by as_of_date, person_key) as first_purchase_date
    from {{ ref('int_person_days') }}
    where purchases > 0
    group by as_of_date, person_key, event_date, days_ago

),

purchases as (

    select
        as_of_date,
        person_key,
        sum(case when days_ago < 28 then 1 else 0 end) as purchase_days_28d,
        sum(case when days_ago < 365 then 1 else 0 end) as purchase_days_365d,
        count(*) as purchase_days_lifetime,
        sum(purchases) as purchases_lifetime,
        max(days_ago) as days_since_first_purchase,
        min(days_ago) as days_since_last_purchase,
        sum(case when event_date > first_purchase_date then purchase_revenue end) as repeat_revenue,
        sum(case when event_date > first_purchase_date and purchase_revenue is not null then 1 else 0 end)
            as repeat_days_with_revenue
    from purchase_days
    group by as_of_date, person_key

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
        purchases.*,
        count(*) over (partition by purchases.as_of_date) as buyers,
        rank() over (partition by purchases.as_of_date order by purchases.days_since_last_purchase desc) - 1
            as worse_by_recency,
        rank() over (partition by purchases.as_of_date order by purchases.purchase_days_lifetime) - 1
            as worse_by_frequency,
        rank() over (partition by purchases.as_of_date order by coalesce(totals.revenue_lifetime, 0)) - 1
            as worse_by_money
    from purchases
    inner join totals
        on purchases.as_of_date = totals.as_of_date and purchases.person_key = totals.person_key

),

final as (

    select
        totals.as_of_date,
        people.user_id,

        activity.days_since_first_active,
        activity.days_since_last_active,
        activity.days_since_second_last_active - activity.days_since_last_active
            as days_between_last_two_active_days,
        cast(activity.active_days_7d as integer) as active_days_7d,
        cast(activity.active_days_28d as integer) as active_days_28d,
        cast(activity.active_days_lifetime as integer) as active_days_lifetime,
        cast(totals.sessions_7d as integer) as sessions_7d,
        cast(totals.sessions_28d as integer) as sessions_28d,
        cast(totals.sessions_lifetime as integer) as sessions_lifetime,
        cast(coalesce(totals.events_28d, 0) as integer) as events_28d,
        coalesce(
            (totals.session_seconds_28d + coalesce(carried.carried_session_seconds_28d, 0))
            / nullif(totals.sessions_28d, 0) / 60, 0
        ) as avg_session_minutes_28d,
        cast(activity.mobile_active_days_90d as integer) as mobile_active_days_90d,
        cast(activity.desktop_active_days_90d as integer) as desktop_active_days_90d,

        cast(coalesce(buyers.purchase_days_28d, 0) as integer) as purchase_days_28d,
        cast(coalesce(buyers.purchase_days_365d, 0) as integer) as purchase_days_365d,
        cast(coalesce(buyers.purchase_days_lifetime, 0) as integer) as purchase_days_lifetime,
        cast(coalesce(buyers.purchases_lifetime, 0) as integer) as purchases_lifetime,
        cast(coalesce(totals.revenue_28d, 0) as decimal(18, 4)) as revenue_28d,
        cast(coalesce(totals.revenue_365d, 0) as decimal(18, 4)) as revenue_365d,
        cast(coalesce(totals.revenue_lifetime, 0) as decimal(18, 4)) as revenue_lifetime,
        buyers.days_since_first_purchase,
        buyers.days_since_last_purchase,
        case
            when buyers.purchase_days_lifetime = 1 then 0
            when buyers.purchase_days_lifetime > 1
                then buyers.repeat_revenue / nullif(buyers.repeat_days_with_revenue, 0)
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
        cast(1 + floor(5.0 * buyers.worse_by_recency / buyers.buyers) as integer) as r_score,
        cast(1 + floor(5.0 * buyers.worse_by_frequency / buyers.buyers) as integer) as f_score,
        cast(1 + floor(5.0 * buyers.worse_by_money / buyers.buyers) as integer) as m_score,

        cast(coalesce(totals.support_contacts_28d, 0) as integer) as support_contacts_28d,
        cast(coalesce(totals.support_views_28d, 0) as integer) as support_views_28d,
        cast(coalesce(totals.errors_28d, 0) as integer) as errors_28d,
        cast(coalesce(totals.searches_28d, 0) as integer) as searches_28d,
        last_nps.last_nps_score,
        last_nps.days_since_last_nps,

        traits.plan,
        traits.country,
        traits.language,
        traits.device_type,
        traits.channel
    from activity
    inner join people
        on activity.person_key = people.person_key
    inner join totals
        on activity.as_of_date = totals.as_of_date and activity.person_key = totals.person_key
    left join carried
        on totals.as_of_date = carried.as_of_date and totals.person_key = carried.person_key
    left join buyers
        on totals.as_of_date = buyers.as_of_date and totals.person_key = buyers.person_key
    left join last_nps
        on totals.as_of_date = last_nps.as_of_date and totals.person_key = last_nps.person_key
    left join traits
        on totals.as_of_date = traits.as_of_date and totals.person_key = traits.person_key

)

select * from final
