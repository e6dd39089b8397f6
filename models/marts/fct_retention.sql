-- How many of those who did something in a period came back, period by period after it: the reports of
-- seeds/retention_reports.csv, overall and by the segment at the time.
with reports as (

    select * from {{ ref('stg_generic__retention_reports') }}

),

person_periods as (

    select * from {{ ref('int_retention_periods') }}

),

latest as (

    select max(as_of_date) as as_of_date
    from {{ ref('int_as_of_dates') }}

),

people as (

    select
        person_key,
        min(user_id) as user_id
    from {{ ref('int_people') }}
    where
        known_from <= (select latest.as_of_date from latest)
        and known_to > (select latest.as_of_date from latest)
    group by person_key

),

history as (

    select * from {{ ref('fct_segment_membership_history') }}

),

evaluations as (

    select * from {{ source('runs', 'evaluations') }}
    where people is not null

),

starts as (

    select
        reports.report,
        reports.mode,
        person_periods.person_key,
        person_periods.period_start,
        person_periods.first_date
    from reports
    inner join person_periods
        on reports.start_event = person_periods.word and reports.period = person_periods.period

),

cohorts as (

    select
        report,
        person_key,
        period_start as cohort_start,
        first_date
    from starts
    where mode = 'recurring'

    union all

    select
        report,
        person_key,
        min(period_start) as cohort_start,
        min(first_date) as first_date
    from starts
    where mode = 'first_time'
    group by report, person_key

),

-- What each was in on the day of the first start event in the period, where that day was evaluated.
days_of_cohorts as (

    select distinct
        person_key,
        first_date
    from cohorts
    where first_date in (select evaluations.as_of_date from evaluations)

),

segments_then as (

    select
        days_of_cohorts.person_key,
        days_of_cohorts.first_date,
        history.segment_set,
        history.segment
    from days_of_cohorts
    inner join people
        on days_of_cohorts.person_key = people.person_key
    inner join history
        on
            people.user_id = history.user_id
            and days_of_cohorts.first_date >= history.valid_from
            and (history.valid_to is null or days_of_cohorts.first_date < history.valid_to)
    inner join evaluations
        on
            days_of_cohorts.first_date = evaluations.as_of_date
            and history.segment_set = evaluations.segment_set
            -- A flag is evaluated by its name, a value with its set.
            and evaluations.segment in (history.segment, 'all')

),

-- Some thousand combinations of segments stand for everybody: what follows counts people by combination, and looks at
-- the segments of each at the end.
combinations as (

    select
        person_key,
        first_date,
        sum({{ hash64_of_all(['segment_set', 'segment']) }}) as combination_key
    from segments_then
    group by person_key, first_date

),

members as (

    select
        cohorts.report,
        cohorts.person_key,
        cohorts.cohort_start,
        coalesce(combinations.combination_key, 0) as combination_key
    from cohorts
    left join combinations
        on cohorts.person_key = combinations.person_key and cohorts.first_date = combinations.first_date

),

combination_segments as (

    select distinct
        combination_key,
        'all' as segment_set,
        'all' as segment
    from members

    union all

    select distinct
        combinations.combination_key,
        segments_then.segment_set,
        segments_then.segment
    from combinations
    inner join segments_then
        on combinations.person_key = segments_then.person_key and combinations.first_date = segments_then.first_date

),

members_of_combinations as (

    select
        report,
        cohort_start,
        combination_key,
        count(*) as users
    from members
    group by report, cohort_start, combination_key

),

cohort_sizes as (

    select
        members_of_combinations.report,
        members_of_combinations.cohort_start,
        combination_segments.segment_set,
        combination_segments.segment,
        sum(members_of_combinations.users) as users
    from members_of_combinations
    inner join combination_segments
        on members_of_combinations.combination_key = combination_segments.combination_key
    group by
        members_of_combinations.report,
        members_of_combinations.cohort_start,
        combination_segments.segment_set,
        combination_segments.segment

),

-- Who did the return event often enough, and in which periods: in each (`on`), or in the last one, since whoever comes
-- back in it has come back in it or later for every period up to it (`on_or_after`).
returns as (

    select
        reports.report,
        person_periods.person_key,
        person_periods.period_start
    from reports
    inner join person_periods
        on reports.return_event = person_periods.word and reports.period = person_periods.period
    where reports.bound = 'on' and person_periods.occurrences >= reports.min_occurrences

    union all

    select
        reports.report,
        person_periods.person_key,
        max(person_periods.period_start) as period_start
    from reports
    inner join person_periods
        on reports.return_event = person_periods.word and reports.period = person_periods.period
    where reports.bound = 'on_or_after' and person_periods.occurrences >= reports.min_occurrences
    group by reports.report, person_periods.person_key

),

returned_of_combinations as (

    select
        members.report,
        members.cohort_start,
        members.combination_key,
        returns.period_start,
        count(*) as users
    from members
    inner join returns
        on
            members.report = returns.report
            and members.person_key = returns.person_key
            and members.cohort_start <= returns.period_start
    group by members.report, members.cohort_start, members.combination_key, returns.period_start

),

returned as (

    select
        returned_of_combinations.report,
        returned_of_combinations.cohort_start,
        combination_segments.segment_set,
        combination_segments.segment,
        returned_of_combinations.period_start,
        sum(returned_of_combinations.users) as users
    from returned_of_combinations
    inner join combination_segments
        on returned_of_combinations.combination_key = combination_segments.combination_key
    group by
        returned_of_combinations.report,
        returned_of_combinations.cohort_start,
        combination_segments.segment_set,
        combination_segments.segment,
        returned_of_combinations.period_start

),

bounds as (

    select
        -- Ten years: a clock that says the year 1 would make a hundred thousand weeks, and each of them a row.
        greatest(
            min(person_periods.period_start), max({{ days_after('latest.as_of_date', -3653) }})
        ) as first_day,
        -- The day after: where it begins a period, the one before it is over.
        max({{ days_after('latest.as_of_date', 1) }}) as last_day
    from person_periods
    cross join latest

),

days as (

    select {{ days_from_to('first_day', 'last_day') }} as calendar_day
    from bounds

),

starts_of_periods as (
    {%- for period in ['day', 'week', 'month'] %}

    select distinct
        '{{ period }}' as period,
        {{ first_day_of_period(period, 'calendar_day') }} as period_start
    from days
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}

),

periods as (

    select
        period,
        period_start,
        row_number() over (partition by period order by period_start) as period_number,
        lead(period_start) over (partition by period order by period_start) is not null as is_complete
    from starts_of_periods

),

every_offset as (

    select
        reports.report,
        reports.period,
        reports.bound,
        cohort_sizes.segment_set,
        cohort_sizes.segment,
        cohort_sizes.cohort_start,
        cohort_sizes.users as cohort_users,
        periods.period_start,
        periods.period_number - periods_of_cohorts.period_number as period_offset,
        periods.is_complete
    from cohort_sizes
    inner join reports
        on cohort_sizes.report = reports.report
    inner join periods as periods_of_cohorts
        on reports.period = periods_of_cohorts.period and cohort_sizes.cohort_start = periods_of_cohorts.period_start
    inner join periods
        on reports.period = periods.period and cohort_sizes.cohort_start <= periods.period_start
    where periods.period_start <= (select latest.as_of_date from latest)

),

counted as (

    select
        every_offset.*,
        coalesce(returned.users, 0) as users_of_period,
        sum(coalesce(returned.users, 0)) over (
            partition by
                every_offset.report, every_offset.segment_set, every_offset.segment, every_offset.cohort_start
            order by every_offset.period_offset desc
            rows between unbounded preceding and current row
        ) as users_from_period_on
    from every_offset
    left join returned
        on
            every_offset.report = returned.report
            and every_offset.segment_set = returned.segment_set
            and every_offset.segment = returned.segment
            and every_offset.cohort_start = returned.cohort_start
            and every_offset.period_start = returned.period_start

),

final as (

    select
        report,
        segment_set,
        segment,
        period,
        cohort_start,
        cast(period_offset as integer) as period_offset,
        cast(cohort_users as bigint) as cohort_users,
        cast(case bound when 'on' then users_of_period else users_from_period_on end as bigint) as returning_users,
        cast(case bound when 'on' then users_of_period else users_from_period_on end as {{ type_double() }})
        / cohort_users as rate,
        is_complete as is_period_complete
    from counted

)

select * from final
