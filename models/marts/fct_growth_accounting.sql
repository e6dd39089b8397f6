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

-- Everybody, added up by pairs of active days: some thousand rows.
after_previous as (

    select
        active_on,
        previous_active_on,
        count(*) as users
    from days
    group by active_on, previous_active_on

),

before_next as (

    select
        active_on,
        next_active_on,
        count(*) as users
    from days
    group by active_on, next_active_on

),

-- A person's first active day of a period tells what it came after, the last one of the one before whether none came.
-- By combination of segments; null stands for everybody.
states as {{ once() }} (
    {%- for period in ['day', 'week', 'month'] %}
    {%- for rows, users, combination_key in [
        ('after_previous', 'sum(came.users)', 'null'),
        ('days', 'count(*)', 'segment_spells.combination_key'),
    ] %}

    select
        {{ combination_key }} as combination_key,
        '{{ period }}' as period,
        periods.period_start,
        case
            when came.previous_active_on is null then 'new'
            when {{ first_day_of_period(period, 'came.previous_active_on') }} = periods.previous_start then 'returning'
            else 'resurrecting'
        end as state,
        {{ users }} as users
    from {{ rows }} as came
    inner join periods
        on {{ first_day_of_period(period, 'came.active_on') }} = periods.period_start
    {%- if rows == 'days' %}
    inner join {{ ref('int_segment_spells') }} as segment_spells
        on
            came.person_key = segment_spells.person_key
            and periods.evaluated_on >= segment_spells.valid_from
            and periods.evaluated_on < segment_spells.valid_to
    {%- endif %}
    where
        periods.period = '{{ period }}'
        and (
            came.previous_active_on is null
            or {{ first_day_of_period(period, 'came.previous_active_on') }} < periods.period_start
        )
    group by {% if rows == 'days' %}segment_spells.combination_key, {% endif %}periods.period_start, state

    union all
    {%- endfor %}
    {%- for rows, users, combination_key in [
        ('before_next', 'sum(went.users)', 'null'),
        ('days', 'count(*)', 'segment_spells.combination_key'),
    ] %}

    select
        {{ combination_key }} as combination_key,
        '{{ period }}' as period,
        periods.period_start,
        'dormant' as state,
        {{ users }} as users
    from {{ rows }} as went
    inner join periods
        on {{ first_day_of_period(period, 'went.active_on') }} = periods.previous_start
    {%- if rows == 'days' %}
    inner join {{ ref('int_segment_spells') }} as segment_spells
        on
            went.person_key = segment_spells.person_key
            and periods.evaluated_on >= segment_spells.valid_from
            and periods.evaluated_on < segment_spells.valid_to
    {%- endif %}
    where
        periods.period = '{{ period }}'
        and (
            went.next_active_on is null
            or {{ first_day_of_period(period, 'went.next_active_on') }} > periods.period_start
        )
    group by {% if rows == 'days' %}segment_spells.combination_key, {% endif %}periods.period_start
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}

),

-- By the hash of a segment: texts would take twice as long to group by.
counted as (

    select
        {{ hash64_of_all(["'all'", "'all'"]) }} as segment_key,
        period,
        period_start,
        state,
        users
    from states
    where combination_key is null

    union all

    select
        spell_segments.segment_key,
        states.period,
        states.period_start,
        states.state,
        sum(states.users) as users
    from states
    inner join {{ ref('int_spell_segments') }} as spell_segments
        on states.combination_key = spell_segments.combination_key
    group by spell_segments.segment_key, states.period, states.period_start, states.state

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
