-- Which segments were evaluated on which day, up to the latest as-of date: those of which the history says who was in
-- them. Empty flags are among them; of an attribute set, the values that somebody had.
{{ config(materialized='table') }}

with as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

evaluations as (

    select *
    from {{ source('runs', 'evaluations') }}
    where
        segment_set <> 'all'
        -- Null where the project no longer had the segment.
        and people is not null
        and as_of_date <= (select max(as_of_dates.as_of_date) from as_of_dates)

),

-- A flag is evaluated by itself, an attribute set as a whole: of its values the history tells who had them.
attribute_sets as (

    select distinct segment_set
    from evaluations
    where segment = 'all'

),

history as (

    select * from {{ ref('fct_segment_membership_history') }}
    where segment_set in (select attribute_sets.segment_set from attribute_sets)

),

turns as (

    select
        segment_set,
        segment,
        valid_from as turned_on,
        count(*) as step
    from history
    group by segment_set, segment, valid_from

    union all

    select
        segment_set,
        segment,
        valid_to as turned_on,
        -count(*) as step
    from history
    where valid_to is not null
    group by segment_set, segment, valid_to

),

values_of_sets as (

    select distinct
        segment_set,
        segment
    from turns

),

days_of_values as (

    select
        evaluations.as_of_date,
        evaluations.segment_set,
        values_of_sets.segment
    from evaluations
    inner join values_of_sets
        on evaluations.segment_set = values_of_sets.segment_set
    where evaluations.segment = 'all'

),

steps as (

    select
        segment_set,
        segment,
        turned_on,
        step,
        0 as is_evaluated
    from turns

    union all

    select
        segment_set,
        segment,
        as_of_date as turned_on,
        0 as step,
        1 as is_evaluated
    from days_of_values

),

days as (

    select
        segment_set,
        segment,
        turned_on,
        sum(step) as step,
        max(is_evaluated) as is_evaluated
    from steps
    group by segment_set, segment, turned_on

),

sizes as (

    select
        segment_set,
        segment,
        turned_on as as_of_date,
        is_evaluated,
        sum(step) over (partition by segment_set, segment order by turned_on) as members
    from days

),

evaluated_segments as (

    select
        as_of_date,
        segment_set,
        segment
    from evaluations
    where segment <> 'all'

    union all

    select
        as_of_date,
        segment_set,
        segment
    from sizes
    where is_evaluated = 1 and members > 0

),

final as (

    select
        *,
        {{ hash64_of_all(['segment_set', 'segment']) }} as segment_key
    from evaluated_segments

)

select * from final
