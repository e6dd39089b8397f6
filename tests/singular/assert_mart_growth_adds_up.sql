-- Who is active is new, returning or resurrecting, as many as fct_active_users counts; who was active in the period
-- before is returning or dormant; and who was active on one of 28 days is so often active in fct_stickiness.
with growth as (

    select
        segment_set,
        segment,
        period,
        period_start,
        sum(case when state <> 'dormant' then users else 0 end) as active,
        sum(case when state in ('returning', 'dormant') then users else 0 end) as active_before
    from {{ ref('fct_growth_accounting') }}
    group by segment_set, segment, period, period_start

),

active_users as (

    select * from {{ ref('fct_active_users') }}

),

stickiness as (

    select
        as_of_date,
        sum(users) as users
    from {{ ref('fct_stickiness') }}
    where segment_set = 'all' and period = 'day' and window_periods = 28
    group by as_of_date

),

growth_of_days as (

    select * from growth
    where period = 'day'

),

followed as (

    select
        period,
        period_start,
        active_before,
        coalesce(lag(active) over (partition by period order by period_start), 0) as active_in_the_one_before
    from growth
    where segment_set = 'all'

),

failures as (

    select
        'growth: other people are active than dau says' as failed_check,
        coalesce(growth_of_days.segment_set, active_users.segment_set) as segment_set,
        coalesce(growth_of_days.segment, active_users.segment) as segment,
        coalesce(growth_of_days.period_start, active_users.as_of_date) as period_start
    from growth_of_days
    full outer join active_users
        on
            growth_of_days.segment_set = active_users.segment_set
            and growth_of_days.segment = active_users.segment
            and growth_of_days.period_start = active_users.as_of_date
    where (growth_of_days.active = active_users.dau) is not true

    union all

    select
        'growth: who was active before neither returns nor is dormant' as failed_check,
        'all' as segment_set,
        'all' as segment,
        period_start
    from followed
    where active_before <> active_in_the_one_before

    union all

    select
        'active users: a longer window has fewer people' as failed_check,
        segment_set,
        segment,
        as_of_date as period_start
    from active_users
    where dau > wau or wau > mau

    union all

    select
        'stickiness: its people are not those of mau' as failed_check,
        active_users.segment_set,
        active_users.segment,
        active_users.as_of_date as period_start
    from active_users
    inner join stickiness
        on active_users.as_of_date = stickiness.as_of_date
    where active_users.segment_set = 'all' and active_users.mau <> stickiness.users

)

select * from failures
