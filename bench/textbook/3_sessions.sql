-- Visits, incremental with a look-back of three days: activity of one person on one device with no gap over 30 minutes.
create table if not exists sessions (
    session_id varchar,
    person_id varchar,
    started_at timestamp,
    ended_at timestamp,
    events bigint
);

set variable first_day = (select coalesce(cast(max(started_at) as date) - 3, date '1970-01-01') from sessions);

create temp table new_sessions as
with activity as (
    select
        coalesce(stg_events.user_id, user_stitching.user_id, 'anon:' || stg_events.anonymous_id) as person_id,
        coalesce(stg_events.anonymous_id, '') as device_id,
        stg_events.event_at
    from stg_events
    left join user_stitching on stg_events.anonymous_id = user_stitching.anonymous_id
    where stg_events.is_activity and stg_events.event_at >= getvariable('first_day')
),

with_gap as (
    select
        *,
        event_at - lag(event_at) over (partition by person_id, device_id order by event_at) as gap
    from activity
),

numbered as (
    select
        *,
        count(case when gap is null or gap > interval 30 minute then 1 end)
            over (partition by person_id, device_id order by event_at rows unbounded preceding) as session_number
    from with_gap
)

select
    md5(person_id || device_id || min(event_at)) as session_id,
    person_id,
    min(event_at) as started_at,
    max(event_at) as ended_at,
    count(*) as events
from numbered
group by person_id, device_id, session_number;

delete from sessions
where started_at >= getvariable('first_day');

insert into sessions
select * from new_sessions;
