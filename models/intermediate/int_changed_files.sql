-- The files that hold events of changed days: all that a run reads of the events to build these days anew.
with event_days as (

    select * from {{ ref('stg_event_days') }}

),

changed_days as (

    select * from {{ ref('int_changed_days') }}

),

final as (

    select distinct source_file
    from event_days
    where
        source_file is not null
        and event_date in (select changed_days.event_date from changed_days)

)

select * from final
