-- Staging, incremental: what was received since the last run, each event_id once. As dbt writes it with
-- `unique_key='event_id'`: what comes again takes the place of what is there.
--
-- These scripts are the usual incremental layers, for comparison (docs/benchmarks.md). tools/bench_daily.py runs them
-- in the order of their names, in one process. Set before:
--   set variable events = '<folder>/events/*.parquet'; set variable taxonomy = 'seeds/event_taxonomy.csv';
create table if not exists stg_events (
    event_id varchar,
    event_name varchar,
    event_type varchar,
    is_activity boolean,
    event_at timestamp,
    received_at timestamp,
    user_id varchar,
    anonymous_id varchar,
    device_type varchar,
    country varchar,
    channel varchar,
    revenue decimal(18, 4)
);

-- A value and no subquery, so that DuckDB skips the files that have nothing later.
set variable received_before = (select coalesce(max(received_at), timestamp '1970-01-01') from stg_events);

create temp table new_events as
with taxonomy as (
    select
        event_name,
        event_type,
        case
            when event_type in ('message_sent', 'refund') then false
            when event_type = 'purchase' then true
            else coalesce(lower(is_activity), 'true') = 'true'
        end as is_activity
    from read_csv(getvariable('taxonomy'), all_varchar = true)
),

numbered as (
    select
        *,
        row_number() over (partition by event_id order by received_at, event_at) as delivery
    from read_parquet(getvariable('events'))
    where received_at > getvariable('received_before')
)

select
    numbered.event_id,
    numbered.event_name,
    coalesce(taxonomy.event_type, 'other') as event_type,
    coalesce(taxonomy.is_activity, true) as is_activity,
    numbered.event_at,
    numbered.received_at,
    numbered.user_id,
    numbered.anonymous_id,
    numbered.device_type,
    numbered.country,
    numbered.channel,
    numbered.revenue
from numbered
left join taxonomy on numbered.event_name = taxonomy.event_name
where numbered.delivery = 1;

delete from stg_events
where event_id in (select event_id from new_events);

insert into stg_events by name
select * from new_events;
