-- One row a person, as of the newest day of events. A table, made from all days and all sessions by every run.
create or replace table user_metrics as
with as_of as (
    select max(event_date) as as_of_date
    from user_days
),

days as (
    select
        user_days.*,
        as_of.as_of_date,
        as_of.as_of_date - user_days.event_date as days_ago
    from user_days
    cross join as_of
),

totals as (
    select
        as_of_date,
        person_id,
        max(case when events > 0 then days_ago end) as days_since_first_active,
        min(case when events > 0 then days_ago end) as days_since_last_active,
        count(case when events > 0 and days_ago < 7 then 1 end) as active_days_7d,
        count(case when events > 0 and days_ago < 28 then 1 end) as active_days_28d,
        count(case when events > 0 then 1 end) as active_days_lifetime,
        sum(case when days_ago < 28 then events else 0 end) as events_28d,
        count(case when purchases > 0 and days_ago < 365 then 1 end) as purchase_days_365d,
        count(case when purchases > 0 then 1 end) as purchase_days_lifetime,
        min(case when purchases > 0 then days_ago end) as days_since_last_purchase,
        coalesce(sum(case when days_ago < 28 then revenue end), 0) as revenue_28d,
        coalesce(sum(revenue), 0) as revenue_lifetime,
        max(last_purchase_at) as last_purchase_at,
        max(last_add_to_cart_at) as last_add_to_cart_at,
        max(last_checkout_start_at) as last_checkout_start_at,
        sum(case when days_ago < 28 then support_contacts else 0 end) as support_contacts_28d,
        sum(case when days_ago < 28 then support_views else 0 end) as support_views_28d,
        sum(case when days_ago < 28 then errors else 0 end) as errors_28d,
        sum(case when days_ago < 28 then searches else 0 end) as searches_28d,
        count(case when is_mobile and days_ago < 90 then 1 end) as mobile_active_days_90d,
        count(case when is_desktop and days_ago < 90 then 1 end) as desktop_active_days_90d,
        arg_max(country, event_date) as country,
        arg_min(channel, event_date) as channel
    from days
    group by as_of_date, person_id
    having count(case when events > 0 then 1 end) > 0
),

-- The last active day but one.
day_before as (
    select
        person_id,
        days_ago as days_since_second_last_active
    from days
    where events > 0
    qualify row_number() over (partition by person_id order by days_ago) = 2
),

visits as (
    select
        sessions.person_id,
        count(case when as_of.as_of_date - cast(sessions.started_at as date) < 7 then 1 end) as sessions_7d,
        count(case when as_of.as_of_date - cast(sessions.started_at as date) < 28 then 1 end) as sessions_28d,
        count(*) as sessions_lifetime,
        avg(epoch(sessions.ended_at - sessions.started_at) / 60)
            filter (as_of.as_of_date - cast(sessions.started_at as date) < 28) as avg_session_minutes_28d
    from sessions
    cross join as_of
    group by sessions.person_id
),

scores as (
    select
        person_id,
        ntile(5) over (order by days_since_last_purchase desc, person_id) as r_score,
        ntile(5) over (order by purchase_days_lifetime, person_id) as f_score
    from totals
    where purchase_days_lifetime > 0
)

select
    totals.*,
    day_before.days_since_second_last_active - totals.days_since_last_active as days_between_last_two_active_days,
    coalesce(visits.sessions_7d, 0) as sessions_7d,
    coalesce(visits.sessions_28d, 0) as sessions_28d,
    coalesce(visits.sessions_lifetime, 0) as sessions_lifetime,
    visits.avg_session_minutes_28d,
    scores.r_score,
    scores.f_score
from totals
left join day_before on totals.person_id = day_before.person_id
left join visits on totals.person_id = visits.person_id
left join scores on totals.person_id = scores.person_id;
