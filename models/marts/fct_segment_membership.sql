-- Who is in which segment on the latest as-of date.
with latest as (

    select max(as_of_date) as as_of_date
    from {{ ref('int_as_of_dates') }}

),

final as (

    select
        every_date.as_of_date,
        every_date.user_id,
        every_date.segment_set,
        every_date.segment
    from {{ ref('int_segment_members') }} as every_date
    where every_date.as_of_date = (select latest.as_of_date from latest)

)

select * from final
