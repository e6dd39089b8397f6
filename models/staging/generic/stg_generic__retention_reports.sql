-- What fct_retention is asked for: one row a report.
with raw_reports as (

    select * from {{ source('generic', 'retention_reports') }}
    where report is not null

),

final as (

    select
        trim(report) as report,
        trim(period) as period,
        trim(start_event) as start_event,
        trim(return_event) as return_event,
        trim(mode) as mode,
        trim(bound) as bound,
        {{ try_integer('min_occurrences') }} as min_occurrences
    from raw_reports

)

select * from final
