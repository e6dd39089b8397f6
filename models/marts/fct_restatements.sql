-- Which ranges of history were written again on purpose.
with restatements as (

    select * from {{ source('runs', 'restatements') }}

),

final as (

    select
        restated_at,
        from_date,
        to_date,
        segment_set
    from restatements

)

select * from final
