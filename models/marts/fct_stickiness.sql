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

people as (

    select
        active_periods.person_key,
        active_periods.period,
        count(*) as active_periods
    from {{ ref('int_active_periods') }} as active_periods
    inner join in_window
        on active_periods.period = in_window.period and active_periods.period_start = in_window.period_start
    group by active_periods.person_key, active_periods.period

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

    select
        every_date.combination_key,
        every_date.segment_set,
        every_date.segment
    from {{ ref('int_combination_segments') }} as every_date
    where every_date.as_of_date = (select latest.as_of_date from latest)

),

-- Added up by combination of segments first: some thousand rows in place of one a user and segment.
combinations as (

    select
        user_segments.combination_key,
        people.period,
        people.active_periods,
        count(*) as users
    from people
    inner join user_segments
        on people.person_key = user_segments.person_key
    group by user_segments.combination_key, people.period, people.active_periods

),

members as (

    select
        segments.segment_set,
        segments.segment,
        combinations.period,
        combinations.active_periods,
        combinations.users
    from combinations
    inner join segments
        on combinations.combination_key = segments.combination_key

    union all

    select
        'all' as segment_set,
        'all' as segment,
        period,
        active_periods,
        users
    from combinations

),

counted as (

    select
        segment_set,
        segment,
        period,
        active_periods,
        sum(users) as users
    from members
    group by segment_set, segment, period, active_periods

),

catalogue as (

    select
        segment_set,
        segment
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
            catalogue.segment_set = counted.segment_set
            and catalogue.segment = counted.segment
            and in_window.period = counted.period
            and in_window.nth_last = counted.active_periods

)

select * from final
