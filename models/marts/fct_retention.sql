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

evaluated_segments as (

    select * from {{ ref('int_evaluated_segments') }}

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

-- Everybody, in no combination of segments, and once for each that the person was in on the day of the first start
-- event in the period, where that day was evaluated. What follows counts people by combination, and looks at the
-- segments of each at the end.
members as (

    select
        report,
        person_key,
        cohort_start,
        cast(null as date) as evaluated_on,
        null as combination_key
    from cohorts

    union all

    select
        cohorts.report,
        cohorts.person_key,
        cohorts.cohort_start,
        cohorts.first_date as evaluated_on,
        segment_spells.combination_key
    from cohorts
    inner join {{ ref('int_segment_spells') }} as segment_spells
        on
            cohorts.person_key = segment_spells.person_key
            and cohorts.first_date >= segment_spells.valid_from
            and cohorts.first_date < segment_spells.valid_to
    where cohorts.first_date in (select evaluated_segments.as_of_date from evaluated_segments)

),

members_of_combinations as {{ once() }} (

    select
        report,
        cohort_start,
        evaluated_on,
        combination_key,
        count(*) as users
    from members
    group by report, cohort_start, evaluated_on, combination_key

),

combinations as (

    select distinct
        evaluated_on,
        combination_key
    from members_of_combinations

),

combination_segments as (

    select
        combinations.evaluated_on,
        combinations.combination_key,
        evaluated_segments.segment_set,
        evaluated_segments.segment
    from combinations
    inner join {{ ref('int_spell_segments') }} as spell_segments
        on combinations.combination_key = spell_segments.combination_key
    inner join evaluated_segments
        on
            combinations.evaluated_on = evaluated_segments.as_of_date
            and spell_segments.segment_key = evaluated_segments.segment_key

),

cohort_sizes as (

    select
        report,
        cohort_start,
        'all' as segment_set,
        'all' as segment,
        users
    from members_of_combinations
    where combination_key is null

    union all

    select
        members_of_combinations.report,
        members_of_combinations.cohort_start,
        combination_segments.segment_set,
        combination_segments.segment,
        sum(members_of_combinations.users) as users
    from members_of_combinations
    inner join combination_segments
        on
            members_of_combinations.evaluated_on = combination_segments.evaluated_on
            and members_of_combinations.combination_key = combination_segments.combination_key
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

returned_of_combinations as {{ once() }} (

    select
        members.report,
        members.cohort_start,
        members.evaluated_on,
        members.combination_key,
        returns.period_start,
        count(*) as users
    from members
    inner join returns
        on
            members.report = returns.report
            and members.person_key = returns.person_key
            and members.cohort_start <= returns.period_start
    group by
        members.report, members.cohort_start, members.evaluated_on, members.combination_key, returns.period_start

),

returned as (

    select
        report,
        cohort_start,
        'all' as segment_set,
        'all' as segment,
        period_start,
        users
    from returned_of_combinations
    where combination_key is null

    union all

    select
        returned_of_combinations.report,
        returned_of_combinations.cohort_start,
        combination_segments.segment_set,
        combination_segments.segment,
        returned_of_combinations.period_start,
        sum(returned_of_combinations.users) as users
    from returned_of_combinations
    inner join combination_segments
        on
            returned_of_combinations.evaluated_on = combination_segments.evaluated_on
            and returned_of_combinations.combination_key = combination_segments.combination_key
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

every_offset as {{ once() }} (

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
