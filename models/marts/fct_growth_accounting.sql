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

active as (

    select
        active_periods.person_key,
        periods.period,
        periods.period_start,
        periods.evaluated_on,
        case
            when active_periods.previous_start is null then 'new'
            when active_periods.previous_start = periods.previous_start then 'returning'
            else 'resurrecting'
        end as state
    from {{ ref('int_active_periods') }} as active_periods
    inner join periods
        on active_periods.period = periods.period and active_periods.period_start = periods.period_start

),

dormant as (

    select
        active_periods.person_key,
        periods.period,
        periods.period_start,
        periods.evaluated_on,
        'dormant' as state
    from {{ ref('int_active_periods') }} as active_periods
    inner join periods
        on active_periods.period = periods.period and active_periods.period_start = periods.previous_start
    where active_periods.next_start is null or active_periods.next_start > periods.period_start

),

states as (

    select * from active
    union all
    select * from dormant

),

-- Added up by combination of segments first; null where the person was in none, or the day was not evaluated.
combinations as (

    select
        segment_spells.combination_key,
        states.period,
        states.period_start,
        states.state,
        count(*) as users
    from states
    left join {{ ref('int_segment_spells') }} as segment_spells
        on
            states.person_key = segment_spells.person_key
            and states.evaluated_on >= segment_spells.valid_from
            and states.evaluated_on < segment_spells.valid_to
    group by segment_spells.combination_key, states.period, states.period_start, states.state

),

-- By the hash of a segment: texts would take twice as long to group by.
counted as (

    select
        {{ hash64_of_all(["'all'", "'all'"]) }} as segment_key,
        period,
        period_start,
        state,
        sum(users) as users
    from combinations
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
