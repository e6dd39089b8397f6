-- What a user searches for, in words that many share. An attribute set. A term of few people is never shown: what
-- somebody types can say who they are.
with metrics as (

    select * from {{ ref('int_user_metrics') }}

),

final as (

    select
        as_of_date,
        user_id,

        -- Who searched for rare things is `other` (the metric says so); who did not search at all is a case of its own.
        coalesce(top_search_term_90d, 'none') as segment
    from metrics

)

select * from final
