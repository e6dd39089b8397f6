-- From ecom.csv.gz to the event contract: one event for each row. Runs on DuckDB with the variable `source`, the folder
-- of the file (tools/map_example.py sets it).
create table events as
with clicks as (

    select *
    from read_csv(
        getvariable('source') || '/ecom.csv.gz',
        header = true, delim = ',', quote = '"', escape = '"', all_varchar = true
    )

),

numbered as (

    -- Some rows are there twice, alike in every column: two clicks in one second. The number tells them apart. Ordered
    -- by what a row says, it does not depend on where the row stands in the file.
    select
        *,
        row_number() over (
            partition by user_id, timestamp
            order by event, session_id, platform, acquisition_channel, user_cohort, user_lifecycle
        ) as row_of_second
    from clicks

),

final as (

    select
        user_id || '-' || strftime(cast(timestamp as timestamp), '%Y%m%dT%H%M%S') || '-' || row_of_second as event_id,
        event as event_name,
        cast(timestamp as timestamp) as event_at,
        user_id,
        session_id,
        'web' as platform,
        -- What the file calls platform is mobile, desktop or tablet.
        platform as device_type,
        acquisition_channel as channel,
        json_object('user_cohort', user_cohort, 'user_lifecycle', user_lifecycle) as properties
    from numbered

)

select * from final;
