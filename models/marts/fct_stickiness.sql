-- In how many of the last days, weeks and months people were active, on the latest as-of date: of everybody, and of
-- each segment by the membership of that day. vars.stickiness_periods says how many are looked at; the last of them is
-- the one in which that day lies.
{%- set periods = var('stickiness_periods') %}
{%- do refuse_unless_whole_number('vars.stickiness_periods', 'day', periods.day) %}
{%- do refuse_unless_whole_number('vars.stickiness_periods', 'week', periods.week) %}
{%- do refuse_unless_whole_number('vars.stickiness_periods', 'month', periods.month) %}
{%- set days = [periods.day, 7 * periods.week, 31 * periods.month] | max %}
with as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

latest as (

    select max(as_of_date) as as_of_date
    from as_of_dates

),

calendar as (

    -- More days than the longest window has.
    select {{ days_from_to(days_after('as_of_date', -days), 'as_of_date') }} as calendar_day
    from latest

),

starts as (
    {%- for period in ['day', 'week', 'month'] %}

    select distinct
        '{{ period }}' as period,
        cast({{ periods[period] }} as integer) as window_periods,
        {{ first_day_of_period(period, 'calendar_day') }} as period_start
    from calendar
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}

),

numbered as (

    select
        period,
        window_periods,
        period_start,
        cast(row_number() over (partition by period order by period_start desc) as integer) as nth_last
    from starts

),

in_window as (

    select * from numbered
    where nth_last <= window_periods

),

bounds as (

    select
        {%- for period in ['day', 'week', 'month'] %}
        min(case when period = '{{ period }}' then period_start end) as first_{{ period }},
        {%- endfor %}
        min(period_start) as first_of_all
    from in_window

),

-- A period counts on the first day of it on which the person was active.
people as (

    select
        {%- for period in ['day', 'week', 'month'] %}
        count(
            case
                when
                    active_days.active_on >= bounds.first_{{ period }}
                    and (
                        active_days.previous_active_on is null
                        or {{ first_day_of_period(period, 'active_days.previous_active_on') }}
                        < {{ first_day_of_period(period, 'active_days.active_on') }}
                    )
                    then 1
            end
        ) as active_{{ period }}s,
        {%- endfor %}
        active_days.person_key
    from {{ ref('int_active_days') }} as active_days
    cross join bounds
    where active_days.active_on >= bounds.first_of_all
    group by active_days.person_key

),

user_segments as (

    select
        -- As int_people makes it.
        {{ hash64('every_date.user_id') }} as person_key,
        every_date.combination_key
    from {{ ref('int_user_segments') }} as every_date
    where every_date.as_of_date = (select latest.as_of_date from latest)

),

segments as (

    select * from {{ ref('int_latest_combination_segments') }}

),

-- Added up by combination of segments first, and all numbers of a person together.
combinations as (

    select
        user_segments.combination_key,
        people.active_days,
        people.active_weeks,
        people.active_months,
        count(*) as users
    from people
    inner join user_segments
        on people.person_key = user_segments.person_key
    group by user_segments.combination_key, people.active_days, people.active_weeks, people.active_months

),

members as (

    select
        segments.segment_key,
        combinations.active_days,
        combinations.active_weeks,
        combinations.active_months,
        sum(combinations.users) as users
    from combinations
    inner join segments
        on combinations.combination_key = segments.combination_key
    group by segments.segment_key, combinations.active_days, combinations.active_weeks, combinations.active_months

    union all

    select
        {{ hash64_of_all(["'all'", "'all'"]) }} as segment_key,
        active_days,
        active_weeks,
        active_months,
        sum(users) as users
    from combinations
    group by active_days, active_weeks, active_months

),

counted as (
    {%- for period in ['day', 'week', 'month'] %}

    select
        segment_key,
        '{{ period }}' as period,
        active_{{ period }}s as active_periods,
        sum(users) as users
    from members
    group by segment_key, active_{{ period }}s
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}

),

catalogue as (

    select
        segment_set,
        segment,
        {{ hash64_of_all(['segment_set', 'segment']) }} as segment_key
    from {{ ref('dim_segments') }}

),

final as (

    select
        latest.as_of_date,
        catalogue.segment_set,
        catalogue.segment,
        in_window.period,
        in_window.window_periods,
        -- There are as many numbers to be active in as there are periods.
        in_window.nth_last as active_periods,
        cast(coalesce(counted.users, 0) as bigint) as users
    from catalogue
    cross join in_window
    cross join latest
    left join counted
        on
            catalogue.segment_key = counted.segment_key
            and in_window.period = counted.period
            and in_window.nth_last = counted.active_periods

)

select * from final
