-- Which file holds events of which day, and the load that last changed what there is of the day. A day of which there
-- are no events any more has a row without a file.
with event_days as (

    select * from {{ source('generic', 'event_days') }}

),

file_days as (

    select * from {{ source('generic', 'event_file_days') }}

),

final as (

    select
        file_days.source_file,
        event_days.event_date,
        cast(event_days.load_number as {{ dbt.type_string() }}) as day_version
    from event_days
    left join file_days
        on event_days.event_date = file_days.event_date

)

select * from final
