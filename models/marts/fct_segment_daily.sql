-- How many are in each segment on each evaluated day, the empty ones included, what share that is of the set's
-- population (the rows of its model, of people who agree to its purpose), and how many entered and left.
--
-- Counted from the stays, so that it cannot disagree with them; but for the latest day, which counts the membership:
-- where that day is built again, the marts beside this one tell of what is known now, and history of what was.
with catalogue as (

    select * from {{ ref('dim_segments') }}

),

history as (

    select * from {{ ref('fct_segment_membership_history') }}

),

evaluations as (

    select * from {{ source('runs', 'evaluations') }}

),

latest as (

    select max(as_of_date) as as_of_date
    from {{ ref('int_as_of_dates') }}

),

latest_combinations as (

    select every_date.*
    from {{ ref('int_segment_combinations') }} as every_date
    where every_date.as_of_date = (select latest.as_of_date from latest)

),

turns as (

    select
        valid_from as as_of_date,
        segment_set,
        segment,
        count(*) as members_entered,
        0 as members_left
    from history
    group by valid_from, segment_set, segment

    union all

    select
        valid_to as as_of_date,
        segment_set,
        segment,
        0 as members_entered,
        count(*) as members_left
    from history
    where valid_to is not null
    group by valid_to, segment_set, segment

),

turned as (

    select
        as_of_date,
        segment_set,
        segment,
        sum(members_entered) as members_entered,
        sum(members_left) as members_left
    from turns
    group by as_of_date, segment_set, segment

),

values_of_sets as (

    select distinct
        segment_set,
        segment
    from turned

),

-- A segment with the days on which it was evaluated: a flag by its name, a value with its set.
evaluated as (

    select
        as_of_date,
        segment_set,
        segment,
        people,
        1 as is_flag
    from evaluations
    where segment <> 'all'

    union all

    select
        evaluations.as_of_date,
        evaluations.segment_set,
        values_of_sets.segment,
        evaluations.people,
        0 as is_flag
    from evaluations
    inner join values_of_sets
        on evaluations.segment_set = values_of_sets.segment_set
    where evaluations.segment = 'all'

),

-- Every turn is on an evaluated day. Joined from both sides nevertheless, so that none can be left out of the sum.
points as (

    select
        coalesce(evaluated.as_of_date, turned.as_of_date) as as_of_date,
        coalesce(evaluated.segment_set, turned.segment_set) as segment_set,
        coalesce(evaluated.segment, turned.segment) as segment,
        evaluated.people,
        evaluated.is_flag,
        coalesce(turned.members_entered, 0) as members_entered,
        coalesce(turned.members_left, 0) as members_left
    from evaluated
    full outer join turned
        on
            evaluated.as_of_date = turned.as_of_date
            and evaluated.segment_set = turned.segment_set
            and evaluated.segment = turned.segment

),

added_up as (

    select
        as_of_date,
        segment_set,
        segment,
        people,
        is_flag,
        members_entered,
        members_left,
        sum(members_entered - members_left) over (
            partition by segment_set, segment
            order by as_of_date
        ) as members
    from points

),

everybody as (

    select
        as_of_date,
        segment_set,
        segment,
        people,
        lag(people) over (order by as_of_date) as people_before
    from evaluations
    where segment_set = 'all'

),

past as (

    select
        as_of_date,
        segment_set,
        segment,
        members,
        people,
        members_entered,
        members_left,
        members - members_entered + members_left as members_before
    from added_up
    -- No segment of that day is what the project no longer had, and a value that nobody has any more.
    where people is not null and (is_flag = 1 or members > 0)

    union all

    select
        as_of_date,
        segment_set,
        segment,
        people as members,
        people,
        null as members_entered,
        null as members_left,
        coalesce(people_before, 0) as members_before
    from everybody

),

populations as (

    select
        'all' as segment_set,
        coalesce(sum(people), 0) as people
    from latest_combinations
    {%- for set in segment_sets() %}

    union all

    select
        '{{ set.name }}' as segment_set,
        coalesce(sum(case when {{ is_in_population(set) }} then people end), 0) as people
    from latest_combinations
    {%- endfor %}

),

sizes as {{ once() }} (

    select
        segment_set,
        segment,
        sum(people) as members
    from {{ ref('int_combination_segments') }}
    where as_of_date = (select latest.as_of_date from latest)
    group by segment_set, segment

    union all

    select
        segment_set,
        'all' as segment,
        people as members
    from populations
    where segment_set = 'all'

),

latest_day as (

    select
        latest.as_of_date,
        catalogue.segment_set,
        catalogue.segment,
        coalesce(sizes.members, 0) as members,
        populations.people,
        past.members_entered,
        past.members_left,
        coalesce(past.members_before, 0) as members_before
    from catalogue
    cross join latest
    inner join populations
        on catalogue.segment_set = populations.segment_set
    left join sizes
        on catalogue.segment_set = sizes.segment_set and catalogue.segment = sizes.segment
    left join past
        on
            latest.as_of_date = past.as_of_date
            and catalogue.segment_set = past.segment_set
            and catalogue.segment = past.segment
    -- Null where there was no event at all.
    where latest.as_of_date is not null

),

every_day as (

    select * from latest_day

    union all

    select past.*
    from past
    left join latest
        on past.as_of_date = latest.as_of_date
    where latest.as_of_date is null

),

final as (

    select
        as_of_date,
        segment_set,
        segment,
        cast(members as bigint) as members,
        -- Null where the population is empty: no share is right there.
        cast(members as {{ type_double() }}) / nullif(people, 0) as share,
        cast(members_entered as bigint) as members_entered,
        cast(members_left as bigint) as members_left,
        cast(members - members_before as bigint) as members_change
    from every_day

)

select * from final
