-- How a user first came to the product. An attribute set.
with metrics as (

    select * from {{ ref('int_user_metrics') }}

),

final as (

    select
        as_of_date,
        user_id,

        -- Many come by no link that tells: left out, they would make every channel look larger than it is.
        coalesce(channel, 'unknown') as segment
    from metrics

)

select * from final
