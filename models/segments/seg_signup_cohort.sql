-- The month in which a user signed up. An attribute set. It does not change any more, so that a cohort can be followed
-- through all months after.
with metrics as (

    select * from {{ ref('int_user_metrics') }}

),

final as (

    select
        as_of_date,
        user_id,

        -- Visitors never signed up, and of some users it is not known when: neither belongs to a month.
        coalesce(signed_up_month, 'unknown') as segment
    from metrics

)

select * from final
