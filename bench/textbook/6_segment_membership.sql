-- Who is in which segment: one table, made by every run.
create or replace table segment_membership as
with lifecycle as (
    select
        as_of_date,
        person_id,
        'lifecycle' as segment_set,
        case
            when days_since_first_active = 0 then 'new'
            when days_since_last_active = 0 and days_between_last_two_active_days <= 6 then 'current'
            when days_since_last_active = 0 and days_between_last_two_active_days <= 29 then 'reactivated'
            when days_since_last_active = 0 then 'resurrected'
            when days_since_last_active <= 6 then 'at_risk_weekly'
            when days_since_last_active <= 29 then 'at_risk_monthly'
            else 'dormant'
        end as segment
    from user_metrics
),

engagement as (
    select
        as_of_date,
        person_id,
        'engagement' as segment_set,
        case
            when active_days_28d >= 21 then 'core'
            when active_days_28d >= 14 then 'regular'
            when active_days_28d >= 7 then 'casual'
            when active_days_28d >= 1 then 'infrequent'
            else 'inactive'
        end as segment
    from user_metrics
),

purchase_frequency as (
    select
        as_of_date,
        person_id,
        'purchase_frequency' as segment_set,
        case
            when purchase_days_365d >= 4 then 'frequent_buyer'
            when purchase_days_365d >= 2 then 'repeat_buyer'
            when purchase_days_365d = 1 then 'one_time_buyer'
            when purchase_days_lifetime >= 1 then 'lapsed_buyer'
            when sessions_lifetime >= 2 then 'browser'
            else 'one_time_visitor'
        end as segment
    from user_metrics
),

rfm as (
    select
        as_of_date,
        person_id,
        'rfm' as segment_set,
        case
            when r_score = 5 and f_score >= 4 then 'champions'
            when r_score >= 3 and f_score >= 4 then 'loyal'
            when r_score >= 4 and f_score >= 2 then 'potential_loyalist'
            when r_score = 5 then 'new_customer'
            when r_score = 4 then 'promising'
            when r_score = 3 and f_score = 3 then 'needs_attention'
            when r_score = 3 then 'about_to_sleep'
            when f_score = 5 then 'cannot_lose'
            when f_score >= 3 then 'at_risk'
            else 'hibernating'
        end as segment
    from user_metrics
    where r_score is not null
),

cart as (
    select
        as_of_date,
        person_id,
        'cart' as segment_set,
        'cart_abandoner' as segment
    from user_metrics
    where
        as_of_date - cast(last_add_to_cart_at as date) between 1 and 7
        and (last_purchase_at is null or last_purchase_at < last_add_to_cart_at)
),

checkout as (
    select
        as_of_date,
        person_id,
        'cart' as segment_set,
        'checkout_abandoner' as segment
    from user_metrics
    where
        as_of_date - cast(last_checkout_start_at as date) between 1 and 7
        and (last_purchase_at is null or last_purchase_at < last_checkout_start_at)
),

support as (
    select
        as_of_date,
        person_id,
        'support' as segment_set,
        unnest([
            case when support_views_28d + support_contacts_28d >= 3 then 'frequent_support_visitor' end,
            case when errors_28d >= 3 then 'technical_trouble' end,
            case when errors_28d >= 3 and support_contacts_28d = 0 then 'silent_sufferer' end
        ]) as segment
    from user_metrics
),

platform as (
    select
        as_of_date,
        person_id,
        'platform' as segment_set,
        case
            when mobile_active_days_90d > 0 and desktop_active_days_90d > 0 then 'both'
            when mobile_active_days_90d > 0 then 'mobile_only'
            when desktop_active_days_90d > 0 then 'desktop_only'
            else 'neither'
        end as segment
    from user_metrics
),

geography as (
    select
        as_of_date,
        person_id,
        'geography' as segment_set,
        coalesce(country, 'unknown') as segment
    from user_metrics
)

select * from lifecycle
union all
select * from engagement
union all
select * from purchase_frequency
union all
select * from rfm
union all
select * from cart
union all
select * from checkout
union all
select * from support
where segment is not null
union all
select * from platform
union all
select * from geography;
