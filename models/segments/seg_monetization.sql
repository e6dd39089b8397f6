-- Where money may be won, or is about to be lost. Overlapping: a free user who comes daily and never bought is two
-- chances. Plans are the words of the input `users`: `free` and `trial`; somebody without a plan is on neither.
with metrics as (

    select * from {{ ref('int_user_metrics') }}

),

final as (

    select
        as_of_date,
        user_id,

        -- Half of the days, as regular in the set engagement: who relies on it that often gets something for the price.
        plan is not null
        and plan = 'free'
        and active_days_28d >= 14 as upgrade_ready,

        -- The three days that make one adopted in the set journey, but of these four weeks: a trial is about now.
        plan is not null
        and plan = 'trial'
        and core_action_days_28d >= 3 as trial_converting,

        -- A quarter of the days, as casual in the set engagement: too often for somebody who is only looking.
        active_days_28d >= 7
        and purchase_days_lifetime = 0 as engaged_nonbuyer,

        -- Both lines are drawn elsewhere: after a year a buyer is lapsed (purchase_frequency), after 30 days a user is
        -- dormant (lifecycle). Between the two, the money of last year is going and not yet gone.
        days_since_last_purchase is not null
        and days_since_last_purchase <= 364
        and days_since_last_active >= 30 as revenue_at_risk
    from metrics

)

select * from final
