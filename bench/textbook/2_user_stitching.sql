-- Whose a device is: the first user that it was ever identified as. A table, made from all events by every run.
create or replace table user_stitching as
select
    anonymous_id,
    arg_min(user_id, event_at) as user_id
from stg_events
where anonymous_id is not null and user_id is not null
group by anonymous_id;
