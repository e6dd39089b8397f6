-- Where each user stands in the daily growth model that Duolingo published (blog.duolingo.com/growth-model-duolingo):
-- four groups add up to today's active users, two more to the month's, and the last one is everybody else.
with metrics as (

    select * from {{ ref('int_user_metrics') }}

),

final as (

    select
        as_of_date,
        user_id,

        -- The first day decides most of what follows, and nothing but acquisition brings it about.
        days_since_first_active = 0 as new,

        -- Twice within seven days: who comes on one weekday only is seven days away each time, and never current.
        days_since_last_active = 0
        and days_between_last_two_active_days is not null
        and days_between_last_two_active_days between 1 and 6 as current,

        -- Had dropped out of the weekly active users, but not out of the monthly ones: still knows the way around.
        days_since_last_active = 0
        and days_between_last_two_active_days is not null
        and days_between_last_two_active_days between 7 and 29 as reactivated,

        -- After a month away people come back nearly as strangers (Duolingo's reason for the 30 days).
        days_since_last_active = 0
        and days_between_last_two_active_days is not null
        and days_between_last_two_active_days >= 30 as resurrected,

        -- Still counted in the weekly active users, and leaves them on the seventh day without a visit.
        days_since_last_active between 1 and 6 as at_risk_weekly,

        -- Lost to the week, but not yet to the month: the last days in which a reminder is not yet a new introduction.
        days_since_last_active between 7 and 29 as at_risk_monthly,

        -- The same 30 days as resurrected, seen from the other side: who returns from here is resurrected.
        days_since_last_active >= 30 as dormant
    from metrics

)

select * from final
