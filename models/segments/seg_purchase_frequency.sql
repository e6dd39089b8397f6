-- How often a user buys, and, of those who never did, who is still looking around. Days are counted, not orders: an
-- order split in two on one evening is one decision to buy.
with metrics as (

    select * from {{ ref('int_user_metrics') }}

),

final as (

    select
        as_of_date,
        user_id,

        -- One purchase a quarter, on average: with each season's range they are back, without being asked.
        purchase_days_365d >= 4 as frequent_buyer,

        -- Came back to buy, which is the hardest step, but not yet in the quarterly rhythm.
        purchase_days_365d between 2 and 3 as repeat_buyer,

        -- One in this year, even with more before it: only a second one tells a habit from a try, or from a farewell.
        purchase_days_365d = 1 as one_time_buyer,

        -- A whole year sees every season and every holiday: who bought in none of them has left.
        purchase_days_365d = 0
        and purchase_days_lifetime >= 1 as lapsed_buyer,

        -- A second visit is the first sign of interest that chance does not explain.
        purchase_days_lifetime = 0
        and sessions_lifetime >= 2 as browser,

        -- A single visit says nothing of intent. `<=`, so that who has activity but no session is not left over.
        purchase_days_lifetime = 0
        and sessions_lifetime <= 1 as one_time_visitor
    from metrics

)

select * from final
