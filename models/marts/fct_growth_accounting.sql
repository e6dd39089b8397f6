-- How many people came, stayed, came back and went, by day, week and month: of everybody, and of each segment as the
-- history holds it for the last day of the period, or for the as-of date where the period still runs.
with evaluated_segments as (

    select * from {{ ref('int_evaluated_segments') }}

),

evaluated_days as (

    select distinct as_of_date
    from evaluated_segments

),

periods as (

    select
        every_period.period,
        every_period.period_start,
        every_period.previous_start,
        -- Null where that day was not evaluated.
        evaluated_days.as_of_date as evaluated_on
    from {{ ref('int_periods') }} as every_period
    left join evaluated_days
        on every_period.last_day = evaluated_days.as_of_date

),

days as (

    select * from {{ ref('int_active_days') }}

),

-- A person's first active day of a period tells what it came after, the last one of the one before whether none came.
people as {{ once() }} (
    {%- for period in ['day', 'week', 'month'] %}

    select
        came.person_key,
        '{{ period }}' as period,
        periods.period_start,
        periods.evaluated_on,
        case
            when came.previous_active_on is null then 'new'
            when {{ first_day_of_period(period, 'came.previous_active_on') }} = periods.previous_start then 'returning'
            else 'resurrecting'
        end as state
    from days as came
    inner join periods
        on {{ first_day_of_period(period, 'came.active_on') }} = periods.period_start
    where
        periods.period = '{{ period }}'
        and (
            came.previous_active_on is null
            or {{ first_day_of_period(period, 'came.previous_active_on') }} < periods.period_start
        )

    union all

    select
        went.person_key,
        '{{ period }}' as period,
        periods.period_start,
        periods.evaluated_on,
        'dormant' as state
    from days as went
    inner join periods
        on {{ first_day_of_period(period, 'went.active_on') }} = periods.previous_start
    where
        periods.period = '{{ period }}'
        and (
            went.next_active_on is null
            or {{ first_day_of_period(period, 'went.next_active_on') }} > periods.period_start
        )
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}

),

combinations as (

    select
        segment_spells.combination_key,
        people.period,
        people.period_start,
        people.state,
        count(*) as users
    from people
    inner join {{ ref('int_segment_spells') }} as segment_spells
        on
            people.person_key = segment_spells.person_key
            and people.evaluated_on >= segment_spells.valid_from
            and people.evaluated_on < segment_spells.valid_to
    where people.evaluated_on is not null
    group by segment_spells.combination_key, people.period, people.period_start, people.state

),

-- By the hash of a segment: texts would take twice as long to group by.
counted as (

    select
        {{ hash64_of_all(["'all'", "'all'"]) }} as segment_key,
        period,
        period_start,
        state,
        count(*) as users
    from people
    group by period, period_start, state

    union all

    select
        spell_segments.segment_key,
        combinations.period,
        combinations.period_start,
        combinations.state,
        sum(combinations.users) as users
    from combinations
    inner join {{ ref('int_spell_segments') }} as spell_segments
        on combinations.combination_key = spell_segments.combination_key
    group by spell_segments.segment_key, combinations.period, combinations.period_start, combinations.state

),

segments_of_periods as (

    select
        'all' as segment_set,
        'all' as segment,
        {{ hash64_of_all(["'all'", "'all'"]) }} as segment_key,
        period,
        period_start
    from periods

    union all

    select
        evaluated_segments.segment_set,
        evaluated_segments.segment,
        evaluated_segments.segment_key,
        periods.period,
        periods.period_start
    from periods
    inner join evaluated_segments
        on periods.evaluated_on = evaluated_segments.as_of_date

),

names_of_states as (
    {%- for state in ['new', 'returning', 'resurrecting', 'dormant'] %}

    select '{{ state }}' as state
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}

),

final as (

    select
        segments_of_periods.segment_set,
        segments_of_periods.segment,
        segments_of_periods.period,
        segments_of_periods.period_start,
        names_of_states.state,
        cast(coalesce(counted.users, 0) as bigint) as users
    from segments_of_periods
    cross join names_of_states
    left join counted
        on
            segments_of_periods.segment_key = counted.segment_key
            and segments_of_periods.period = counted.period
            and segments_of_periods.period_start = counted.period_start
            and names_of_states.state = counted.state

)

select * from final
