-- What each person did on a day, incremental with a look-back of three days.
create table if not exists user_days (
    person_id varchar,
    event_date date,
    events bigint,
    purchases bigint,
    purchase_revenue decimal(38, 4),
    revenue decimal(38, 4),
    last_purchase_at timestamp,
    last_add_to_cart_at timestamp,
    last_checkout_start_at timestamp,
    support_contacts bigint,
    support_views bigint,
    errors bigint,
    searches bigint,
    is_mobile boolean,
    is_desktop boolean,
    country varchar,
    channel varchar
);

set variable first_day = (select coalesce(max(event_date) - 3, date '1970-01-01') from user_days);

create temp table new_user_days as
select
    coalesce(stg_events.user_id, user_stitching.user_id, 'anon:' || stg_events.anonymous_id) as person_id,
    cast(stg_events.event_at as date) as event_date,
    count(case when stg_events.is_activity then 1 end) as events,
    count(case when stg_events.event_type = 'purchase' then 1 end) as purchases,
    sum(case when stg_events.event_type = 'purchase' then stg_events.revenue end) as purchase_revenue,
    sum(stg_events.revenue) as revenue,
    max(case when stg_events.event_type = 'purchase' then stg_events.event_at end) as last_purchase_at,
    max(case when stg_events.event_type = 'add_to_cart' then stg_events.event_at end) as last_add_to_cart_at,
    max(case when stg_events.event_type = 'checkout_start' then stg_events.event_at end) as last_checkout_start_at,
    count(case when stg_events.event_type = 'support_contact' then 1 end) as support_contacts,
    count(case when stg_events.event_type = 'support_view' then 1 end) as support_views,
    count(case when stg_events.event_type = 'error' then 1 end) as errors,
    count(case when stg_events.event_type = 'search' then 1 end) as searches,
    coalesce(bool_or(stg_events.is_activity and stg_events.device_type in ('mobile', 'tablet')), false) as is_mobile,
    coalesce(bool_or(stg_events.is_activity and stg_events.device_type = 'desktop'), false) as is_desktop,
    arg_max(stg_events.country, stg_events.event_at) as country,
    arg_min(stg_events.channel, stg_events.event_at) as channel
from stg_events
left join user_stitching on stg_events.anonymous_id = user_stitching.anonymous_id
where stg_events.event_at >= getvariable('first_day')
group by 1, 2;

delete from user_days
where event_date >= getvariable('first_day');

insert into user_days
select * from new_user_days;
