-- How far people come in each funnel of seeds/funnels.csv, and how long it takes them: overall and by segment.
with steps as (

    select * from {{ ref('stg_generic__funnels') }}

),

attempts as (

    select * from {{ ref('int_funnel_attempts') }}

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

user_segments as (

    select
        user_id,
        combination_key
    from {{ ref('int_user_segments') }}
    where as_of_date = (select latest.as_of_date from latest)

),

combination_segments as (

    select
        combination_key,
        segment_set,
        segment
    from {{ ref('int_combination_segments') }}
    where as_of_date = (select latest.as_of_date from latest)

    union all

    select distinct
        combination_key,
        'all' as segment_set,
        'all' as segment
    from user_segments

    union all

    -- Who was never active is in no segment, and still somebody.
    select
        0 as combination_key,
        'all' as segment_set,
        'all' as segment

),

taken as (

    select
        attempts.funnel,
        attempts.step,
        attempts.seconds_from_previous,
        coalesce(user_segments.combination_key, 0) as combination_key
    from attempts
    inner join people
        on attempts.person_key = people.person_key
    left join user_segments
        on people.user_id = user_segments.user_id

),

of_combinations as (

    select
        funnel,
        step,
        combination_key,
        count(*) as users
    from taken
    group by funnel, step, combination_key

),

counted as (

    select
        of_combinations.funnel,
        of_combinations.step,
        combination_segments.segment_set,
        combination_segments.segment,
        cast(sum(of_combinations.users) as bigint) as users
    from of_combinations
    inner join combination_segments
        on of_combinations.combination_key = combination_segments.combination_key
    group by
        of_combinations.funnel, of_combinations.step, combination_segments.segment_set, combination_segments.segment

),

timed as (

    select
        taken.funnel,
        taken.step,
        combination_segments.segment_set,
        combination_segments.segment,
        percentile_cont(0.5) within group (
            order by cast(taken.seconds_from_previous as {{ type_double() }})
        ) as median_seconds
    from taken
    inner join combination_segments
        on taken.combination_key = combination_segments.combination_key
    where taken.step > 1
    group by taken.funnel, taken.step, combination_segments.segment_set, combination_segments.segment

),

segments as (

    select distinct
        segment_set,
        segment
    from combination_segments

),

every_step as (

    select
        steps.funnel,
        steps.step,
        steps.event,
        segments.segment_set,
        segments.segment,
        coalesce(counted.users, 0) as users,
        timed.median_seconds
    from steps
    cross join segments
    left join counted
        on
            steps.funnel = counted.funnel
            and steps.step = counted.step
            and segments.segment_set = counted.segment_set
            and segments.segment = counted.segment
    left join timed
        on
            steps.funnel = timed.funnel
            and steps.step = timed.step
            and segments.segment_set = timed.segment_set
            and segments.segment = timed.segment

),

compared as (

    select
        *,
        first_value(users) over (partition by funnel, segment_set, segment order by step) as users_of_first,
        lag(users) over (partition by funnel, segment_set, segment order by step) as users_of_previous
    from every_step

),

final as (

    select
        funnel,
        segment_set,
        segment,
        step,
        event,
        users,
        cast(users as {{ type_double() }}) / nullif(users_of_first, 0) as conversion_from_first,
        cast(users as {{ type_double() }}) / nullif(users_of_previous, 0) as conversion_from_previous,
        median_seconds as median_seconds_from_previous
    from compared

)

select * from final
