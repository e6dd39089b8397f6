-- Every usable row of every collector has an id, a name, a time, somebody whose it is, and a clock that runs no more
-- than a day ahead of the warehouse's.
select
    event_id,
    event_name,
    event_at,
    received_at
from {{ ref('stg_events') }}
where
    (
        event_id <> ''
        and event_name <> ''
        and (user_id <> '' or anonymous_id <> '')
        and event_at <= received_at + interval '1' day
    ) is not true
