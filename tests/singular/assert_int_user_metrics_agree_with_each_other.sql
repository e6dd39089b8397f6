-- The metrics of a user agree with each other: a window holds no more than a longer one, the last lies not before the
-- first, a value is null exactly where it is said to be, a score is 1 to 5 exactly for who bought.
with metrics as (

    select * from {{ ref('int_user_metrics') }}

),

facts as (

    select
        as_of_date,
        user_id,

        days_since_last_active between 0 and days_since_first_active as last_active_not_before_first,
        case
            when active_days_lifetime = 1 then days_between_last_two_active_days is null
            else
                days_between_last_two_active_days
                between 1 and days_since_first_active - days_since_last_active
        end as two_active_days_lie_apart,
        active_days_7d between 0 and active_days_28d
        and active_days_7d <= 7
        and active_days_28d between 0 and active_days_lifetime
        and active_days_28d <= 28
        and active_days_lifetime between 1 and days_since_first_active + 1 as active_days_nest,
        (active_days_7d > 0) = (days_since_last_active < 7)
        and (active_days_28d > 0) = (days_since_last_active < 28) as active_days_fit_the_last,
        mobile_active_days_90d between 0 and active_days_lifetime
        and mobile_active_days_90d <= 90
        and desktop_active_days_90d between 0 and active_days_lifetime
        and desktop_active_days_90d <= 90 as device_days_are_active_days,

        sessions_7d between 0 and sessions_28d
        and sessions_28d between 0 and sessions_lifetime
        and sessions_lifetime >= 1 as sessions_nest,
        events_28d >= active_days_28d
        and events_28d >= sessions_28d
        and (events_28d > 0) = (active_days_28d > 0) as events_make_days_and_sessions,
        avg_session_minutes_28d >= 0
        and (avg_session_minutes_28d = 0 or sessions_28d > 0) as minutes_are_of_sessions,

        purchase_days_28d between 0 and purchase_days_365d
        and purchase_days_28d <= active_days_28d
        and purchase_days_365d between 0 and purchase_days_lifetime
        and purchase_days_lifetime <= active_days_lifetime
        and purchase_days_lifetime <= purchases_lifetime as purchase_days_nest,
        case
            when purchase_days_lifetime = 0
                then
                    purchases_lifetime = 0
                    and days_since_first_purchase is null
                    and days_since_last_purchase is null
                    and avg_purchase_day_revenue_repeat is null
                    and r_score is null
                    and f_score is null
                    and m_score is null
            else
                days_since_last_purchase between days_since_last_active and days_since_first_purchase
                and days_since_first_purchase <= days_since_first_active
                and (purchase_days_28d > 0) = (days_since_last_purchase < 28)
                and (purchase_days_365d > 0) = (days_since_last_purchase < 365)
                and (purchase_days_lifetime > 1 or avg_purchase_day_revenue_repeat = 0)
                and (purchase_days_lifetime = 1) = (days_since_first_purchase = days_since_last_purchase)
                and r_score between 1 and 5
                and f_score between 1 and 5
                and m_score between 1 and 5
        end as who_bought_has_dates_and_scores,
        revenue_28d is not null
        and revenue_365d is not null
        and revenue_lifetime is not null as revenue_is_known,
        coalesce(days_since_abandoned_cart <= days_since_last_purchase, true)
        and coalesce(days_since_abandoned_checkout <= days_since_last_purchase, true) as open_carts_follow_purchases,

        least(support_contacts_28d, support_views_28d, errors_28d, searches_28d) >= 0
        and support_contacts_28d + support_views_28d + errors_28d + searches_28d is not null as counts_are_known,
        case
            when last_nps_score is null then days_since_last_nps is null
            else last_nps_score between 0 and 10 and days_since_last_nps >= 0
        end as nps_is_whole
    from metrics

),

final as (

    select * from facts
    where
        (
            last_active_not_before_first
            and two_active_days_lie_apart
            and active_days_nest
            and active_days_fit_the_last
            and device_days_are_active_days
            and sessions_nest
            and events_make_days_and_sessions
            and minutes_are_of_sessions
            and purchase_days_nest
            and who_bought_has_dates_and_scores
            and revenue_is_known
            and open_carts_follow_purchases
            and counts_are_known
            and nps_is_whole
        ) is not true

)

select * from final
