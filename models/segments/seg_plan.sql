-- What a user pays for, as of the day. An attribute set.
with metrics as (

    select * from {{ ref('int_user_metrics') }}

),

final as (

    select
        as_of_date,
        user_id,

        -- A visitor has no plan, nor has who is missing in the input users: said in words, or every rate by plan would
        -- leave them out unseen.
        coalesce(plan, 'unknown') as segment
    from metrics

)

select * from final
