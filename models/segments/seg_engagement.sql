-- How often a user came in the last 28 days: the bands of Mozilla's activity segments (mozilla/bigquery-etl). 28 days
-- are four whole weeks, so that a weekday never weighs more than another.
with metrics as (

    select * from {{ ref('int_user_metrics') }}

),

final as (

    select
        as_of_date,
        user_id,

        -- Three quarters of the days: more than every working day (20), so the product is part of the day.
        active_days_28d >= 21 as core,

        -- Half of the days or more: a tool of the working week, missed if it went away.
        active_days_28d between 14 and 20 as regular,

        -- A quarter of the days or more is twice a week or so: comes by need, not by habit.
        active_days_28d between 7 and 13 as casual,

        -- Less than twice a week: too seldom for a habit, and a single visit is enough to be here.
        active_days_28d between 1 and 6 as infrequent,

        -- Not one day in four weeks: not a user at present, whatever was before.
        active_days_28d = 0 as inactive
    from metrics

)

select * from final
