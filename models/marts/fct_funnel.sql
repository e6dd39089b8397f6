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

user_segments as (

    select
        -- As int_people makes it.
        {{ hash64('every_date.user_id') }} as person_key,
        every_date.combination_key
    from {{ ref('int_user_segments') }} as every_date
    where every_date.as_of_date = (select latest.as_of_date from latest)

),

combination_segments as (

    select * from {{ ref('int_latest_combination_segments') }}

),

-- Those with members, and everybody.
segments as (

    select
        segment_set,
        segment,
        {{ hash64_of_all(['segment_set', 'segment']) }} as segment_key
    from {{ ref('dim_segments') }}
    where
        segment_set = 'all'
        or {{ hash64_of_all(['segment_set', 'segment']) }} in (
            select combination_segments.segment_key from combination_segments
        )

),

-- How far each person came in all funnels, as one number: of the same number are many, who are counted together.
results as (

    select
        person_key,
        {{ sum_of_hashes(hash64_of_all(['funnel', 'step'])) }} as result_key
    from attempts
    group by person_key

),

examples as (

    select
        result_key,
        min(person_key) as person_key
    from results
    group by result_key

),

steps_of_results as (

    select
        examples.result_key,
        attempts.funnel,
        attempts.step
    from examples
    inner join attempts
        on examples.person_key = attempts.person_key

),

-- By combination of segments first. Who was never active is in no segment, and still somebody.
of_combinations as (

    select
        results.result_key,
        user_segments.combination_key,
        count(*) as users
    from results
    left join user_segments
        on results.person_key = user_segments.person_key
    group by results.result_key, user_segments.combination_key

),

of_segments as (

    select
        of_combinations.result_key,
        combination_segments.segment_key,
        sum(of_combinations.users) as users
    from of_combinations
    inner join combination_segments
        on of_combinations.combination_key = combination_segments.combination_key
    group by of_combinations.result_key, combination_segments.segment_key

    union all

    select
        result_key,
        {{ hash64_of_all(["'all'", "'all'"]) }} as segment_key,
        sum(users) as users
    from of_combinations
    group by result_key

),

counted as (

    select
        steps_of_results.funnel,
        steps_of_results.step,
        of_segments.segment_key,
        cast(sum(of_segments.users) as bigint) as users
    from of_segments
    inner join steps_of_results
        on of_segments.result_key = steps_of_results.result_key
    group by steps_of_results.funnel, steps_of_results.step, of_segments.segment_key

),

later_steps as (

    select
        attempts.funnel,
        attempts.step,
        user_segments.combination_key,
        cast(attempts.seconds_from_previous as {{ type_double() }}) as seconds_from_previous
    from attempts
    left join user_segments
        on attempts.person_key = user_segments.person_key
    where attempts.step > 1

),

timed as (

    select
        later_steps.funnel,
        later_steps.step,
        combination_segments.segment_key,
        percentile_cont(0.5) within group (order by later_steps.seconds_from_previous) as median_seconds
    from later_steps
    inner join combination_segments
        on later_steps.combination_key = combination_segments.combination_key
    group by later_steps.funnel, later_steps.step, combination_segments.segment_key

    union all

    select
        funnel,
        step,
        {{ hash64_of_all(["'all'", "'all'"]) }} as segment_key,
        percentile_cont(0.5) within group (order by seconds_from_previous) as median_seconds
    from later_steps
    group by funnel, step

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
            and segments.segment_key = counted.segment_key
    left join timed
        on
            steps.funnel = timed.funnel
            and steps.step = timed.step
            and segments.segment_key = timed.segment_key

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
