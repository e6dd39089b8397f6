-- Whether a user gets the product's core workflow done, and how regularly: the last four weeks, each of seven days
-- counted back from the as-of date, so that none of them is shorter than another.
with metrics as (

    select * from {{ ref('int_user_metrics') }}

),

final as (

    select
        as_of_date,
        user_id,

        -- Weeks, not actions: ten on one day are no habit. Three of four, so that a week of holiday or illness costs
        -- nobody the place.
        core_action_weeks_28d >= 3 as completer,

        -- Half of the weeks at most: done when there is a need, and not missed in the weeks between.
        core_action_weeks_28d between 1 and 2 as occasional_completer,

        -- Began and never got to the end, not once in four weeks: that is no longer an interruption, but an obstacle.
        core_action_weeks_28d = 0
        and core_starts_28d >= 1 as stuck,

        -- Did not even begin: whatever stands in the way stands before the workflow, or there is no need of it now.
        core_action_weeks_28d = 0
        and core_starts_28d = 0 as not_started
    from metrics

)

select * from final
