-- How many people were active on each day, and in the 7 and the 28 days that end on it: of everybody, and of each
-- segment as the history holds it for that day.
--
-- A day of activity counts for N days from it on, so a person counts without a break as long as no two active days lie
-- further apart than that. These spells are few, and are counted where they begin and where they end.
with evaluated_segments as (

    select * from {{ ref('int_evaluated_segments') }}

),

active_days as (

    select
        person_key,
        period_start as active_on,
        previous_start as previous_active_on,
        next_start as next_active_on
    from {{ ref('int_active_periods') }}
    where period = 'day'

),

-- Where a spell begins (1) or does not, and where it ends or goes on: the days between do not matter.
edges as (
    {%- for measure, days in [('dau', 1), ('wau', 7), ('mau', 28)] %}

    select
        person_key,
        '{{ measure }}' as measure,
        active_on,
        case
            when previous_active_on is null or {{ days_after('previous_active_on', days) }} < active_on then 1
            else 0
        end as begins,
        {{ days_after('active_on', days) }} as counts_until,
        case when next_active_on <= {{ days_after('active_on', days) }} then 0 else 1 end as ends
    from active_days
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}

),

paired as (

    select
        person_key,
        measure,
        active_on,
        begins,
        ends,
        counts_until,
        lead(counts_until) over (partition by person_key, measure order by active_on) as next_counts_until
    from edges
    where begins = 1 or ends = 1

),

-- Half-open, as stays are.
spells as (

    select
        person_key,
        measure,
        active_on as begins_on,
        case when ends = 1 then counts_until else next_counts_until end as ends_before
    from paired
    where begins = 1

),

-- The part of a spell in which the person was in the same segments.
parts as (

    select
        segment_spells.combination_key,
        spells.measure,
        greatest(spells.begins_on, segment_spells.valid_from) as begins_on,
        least(spells.ends_before, segment_spells.valid_to) as ends_before
    from spells
    inner join {{ ref('int_segment_spells') }} as segment_spells
        on
            spells.person_key = segment_spells.person_key
            and spells.begins_on < segment_spells.valid_to
            and spells.ends_before > segment_spells.valid_from

),

-- Added up by combination of segments first; null stands for everybody.
counted as (

    select
        null as combination_key,
        measure,
        begins_on,
        ends_before,
        count(*) as users
    from spells
    group by measure, begins_on, ends_before

    union all

    select
        combination_key,
        measure,
        begins_on,
        ends_before,
        count(*) as users
    from parts
    group by combination_key, measure, begins_on, ends_before

),

turns as (

    select
        combination_key,
        measure,
        begins_on as turned_on,
        users as step
    from counted

    union all

    select
        combination_key,
        measure,
        ends_before as turned_on,
        -users as step
    from counted

),

combinations as (

    select
        combination_key,
        turned_on,
        sum(case when measure = 'dau' then step else 0 end) as dau_step,
        sum(case when measure = 'wau' then step else 0 end) as wau_step,
        sum(case when measure = 'mau' then step else 0 end) as mau_step
    from turns
    group by combination_key, turned_on

),

days_of_activity as (

    select period_start as as_of_date
    from {{ ref('int_periods') }}
    where period = 'day'

),

wanted as (

    select
        as_of_date,
        'all' as segment_set,
        'all' as segment,
        {{ hash64_of_all(["'all'", "'all'"]) }} as segment_key
    from days_of_activity

    union all

    -- A backfill may reach back to days before the first activity: of these there is nothing to tell.
    select
        as_of_date,
        segment_set,
        segment,
        segment_key
    from evaluated_segments
    where as_of_date in (select days_of_activity.as_of_date from days_of_activity)

),

steps as (

    select
        {{ hash64_of_all(["'all'", "'all'"]) }} as segment_key,
        turned_on,
        dau_step,
        wau_step,
        mau_step
    from combinations
    where combination_key is null

    union all

    select
        spell_segments.segment_key,
        combinations.turned_on,
        combinations.dau_step,
        combinations.wau_step,
        combinations.mau_step
    from combinations
    inner join {{ ref('int_spell_segments') }} as spell_segments
        on combinations.combination_key = spell_segments.combination_key

    union all

    -- A sum of each day that is asked for.
    select
        segment_key,
        as_of_date as turned_on,
        0 as dau_step,
        0 as wau_step,
        0 as mau_step
    from wanted

),

days as (

    select
        segment_key,
        turned_on,
        sum(dau_step) as dau_step,
        sum(wau_step) as wau_step,
        sum(mau_step) as mau_step
    from steps
    group by segment_key, turned_on

),

added_up as (

    select
        segment_key,
        turned_on as as_of_date,
        cast(sum(dau_step) over (partition by segment_key order by turned_on) as bigint) as dau,
        cast(sum(wau_step) over (partition by segment_key order by turned_on) as bigint) as wau,
        cast(sum(mau_step) over (partition by segment_key order by turned_on) as bigint) as mau
    from days

),

final as (

    select
        wanted.as_of_date,
        wanted.segment_set,
        wanted.segment,
        added_up.dau,
        added_up.wau,
        added_up.mau,
        cast(added_up.dau as {{ type_double() }}) / nullif(added_up.mau, 0) as dau_over_mau
    from wanted
    inner join added_up
        on wanted.as_of_date = added_up.as_of_date and wanted.segment_key = added_up.segment_key

)

select * from final
