-- Which category a user is likely to buy from next. An attribute set. A year, because most things are bought a few
-- times in one.
with metrics as (

    select * from {{ ref('int_user_metrics') }}

),

final as (

    select
        as_of_date,
        user_id,

        -- What was paid for says more than what was looked at, so views speak for those alone who bought nothing.
        coalesce(top_bought_category_365d, top_viewed_category_365d, 'none') as segment
    from metrics

)

select * from final
