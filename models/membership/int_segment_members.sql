-- Who is in which segment, of every set, at each as-of date.
with user_segments as (

    select
        as_of_date,
        user_id,
        combination_key
    from {{ ref('int_user_segments') }}

),

segments as (

    select * from {{ ref('int_combination_segments') }}

),

final as (

    select
        user_segments.as_of_date,
        user_segments.user_id,
        segments.segment_set,
        segments.segment
    from user_segments
    inner join segments
        on
            user_segments.as_of_date = segments.as_of_date
            and user_segments.combination_key = segments.combination_key

)

select * from final
