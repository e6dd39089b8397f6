-- How many people were active on each day, and in the 7 and the 28 days that end on it: of everybody, and of each
-- segment as the history holds it for that day.
--
-- A day of activity counts for N days from it on, or until the person's next one if that comes earlier, which counts
-- from there: so nobody counts twice, and what is counted are the days on which somebody begins to count and ceases to.
{%- set measures = [('dau', 1), ('wau', 7), ('mau', 28)] %}
with evaluated_segments as (

    select * from {{ ref('int_evaluated_segments') }}

),

evaluated as (

    select
        min(as_of_date) as first_day,
        max(as_of_date) as last_day
    from evaluated_segments

),

-- Half-open, as stays are.
active_days as (

    select
        person_key,
        {%- for measure, days in measures %}
        least({{ days_after('active_on', days) }}, coalesce(next_active_on, {{ end_of_time() }}))
            as {{ measure }}_ends_before,
        {%- endfor %}
        active_on as begins_on
    from {{ ref('int_active_days') }}

),

-- The parts of it in which the person was in the same segments of a group of sets; of days around those that were
-- evaluated alone.
parts as (

    select
        segment_spells.combination_key,
        {%- for measure, days in measures %}
        least(active_days.{{ measure }}_ends_before, segment_spells.valid_to) as {{ measure }}_ends_before,
        {%- endfor %}
        greatest(active_days.begins_on, segment_spells.valid_from) as begins_on
    from active_days
    inner join {{ ref('int_segment_spells') }} as segment_spells
        on
            active_days.person_key = segment_spells.person_key
            and active_days.begins_on < segment_spells.valid_to
            and active_days.mau_ends_before > segment_spells.valid_from
    where
        active_days.mau_ends_before > (select evaluated.first_day from evaluated)
        and active_days.begins_on <= (select evaluated.last_day from evaluated)

),

-- Added up by combination of segments first; null stands for everybody.
counted as (
    {%- for measure, days in measures %}

    select
        null as combination_key,
        '{{ measure }}' as measure,
        begins_on,
        {{ measure }}_ends_before as ends_before,
        count(*) as users
    from active_days
    group by begins_on, {{ measure }}_ends_before

    union all

    select
        combination_key,
        '{{ measure }}' as measure,
        begins_on,
        {{ measure }}_ends_before as ends_before,
        count(*) as users
    from parts
    where begins_on < {{ measure }}_ends_before
    group by combination_key, begins_on, {{ measure }}_ends_before
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}

),

turns as {{ once() }} (

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
