-- On each evaluated day an exclusive set that covers its population has a stay for everybody of it; no stay begins or
-- ends on a day that was not evaluated.
with history as (

    select * from {{ ref('fct_segment_membership_history') }}

),

evaluations as (

    select
        as_of_date,
        segment_set,
        -- Fewer where the population was counted again for a segment that is new.
        min(people) as people
    from {{ source('runs', 'evaluations') }}
    where segment_set <> 'all'
    group by as_of_date, segment_set

),

turns as (

    select
        valid_from as as_of_date,
        segment_set,
        count(*) as step
    from history
    group by valid_from, segment_set

    union all

    select
        valid_to as as_of_date,
        segment_set,
        -count(*) as step
    from history
    where valid_to is not null
    group by valid_to, segment_set

    union all

    select
        as_of_date,
        segment_set,
        0 as step
    from evaluations

),

steps as (

    select
        as_of_date,
        segment_set,
        sum(step) as step
    from turns
    group by as_of_date, segment_set

),

stays as (

    select
        as_of_date,
        segment_set,
        sum(step) over (partition by segment_set order by as_of_date) as members
    from steps

),

failures as (

    select
        'people without a stay' as failed_check,
        evaluations.as_of_date,
        evaluations.segment_set
    from evaluations
    inner join stays
        on evaluations.as_of_date = stays.as_of_date and evaluations.segment_set = stays.segment_set
    where
        stays.members < evaluations.people
        and evaluations.segment_set in {{ exclusive_set_names('total') }}

    union all

    select
        'a turn on a day that was not evaluated' as failed_check,
        stays.as_of_date,
        stays.segment_set
    from stays
    left join evaluations
        on stays.as_of_date = evaluations.as_of_date and stays.segment_set = evaluations.segment_set
    where evaluations.as_of_date is null

)

select * from failures
