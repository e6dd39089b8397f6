-- The language that a user reads in. An attribute set.
with metrics as (

    select * from {{ ref('int_user_metrics') }}

),

final as (

    select
        as_of_date,
        user_id,

        -- Not known is not the product's first language: counted as that, they would hide who needs another one.
        coalesce(language, 'unknown') as segment
    from metrics

)

select * from final
