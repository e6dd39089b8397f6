-- Which category of content a user comes for. An attribute set. The category viewed on most days, since one long
-- evening in a category is a visit, and many days in it a taste.
with metrics as (

    select * from {{ ref('int_user_metrics') }}

),

final as (

    select
        as_of_date,
        user_id,

        -- No category with enough views to call it a taste: said in words, so that nobody takes it for missing data.
        coalesce(top_viewed_category_90d, 'undecided') as segment
    from metrics

)

select * from final
