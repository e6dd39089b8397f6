-- The one attempt of each person at each funnel that counts, step by step: the deepest, and of equally deep ones the
-- first. It begins as early as one of that depth can, and takes each step as early as it can.
--
-- In one sort a step, however many events a person has. latest_start is the latest start from which a step can be
-- reached by a moment: it leaves the most of the window, so what fails with it fails with any other. The first moment
-- at which the deepest step is reached so (reached) is also where the first attempt ends: whoever begins earlier, but
-- still within the window of that moment, can take the same steps. Then, from the earliest such start, the earliest
-- moment for each step.
{{ config(materialized='table') }}
{%- set most = var('max_funnel_steps') %}

with windows as (

    select
        funnel,
        min(window_seconds) as window_seconds
    from {{ ref('stg_generic__funnels') }}
    group by funnel

),

instants as (

    select
        every_instant.*,
        windows.window_seconds
    from {{ ref('int_funnel_instants') }} as every_instant
    inner join windows
        on every_instant.funnel = windows.funnel

),

depth_1 as (

    select
        *,
        case when step_1 = 1 then event_at end as latest_start
    from instants

),

{% for step in range(2, most + 1) -%}
-- The latest start of all strictly earlier moments, for those that can take a later step.
before_{{ step }} as (

    select * from (
        select
            funnel,
            person_key,
            event_at,
            window_seconds,
            {%- for later in range(step, most + 1) %}
            step_{{ later }},
            {%- endfor %}
            {%- for earlier in range(1, step - 1) %}
            start_{{ earlier }},
            {%- endfor %}
            max(latest_start) over (
                partition by funnel, person_key
                order by event_at
                rows between unbounded preceding and 1 preceding
            ) as start_{{ step - 1 }}
        from depth_{{ step - 1 }}
    ) as every_moment
    where
        coalesce(
            {%- for later in range(step, most + 1) %}
            step_{{ later }}{% if not loop.last %},{% endif %}
            {%- endfor %}
        ) is not null

),

starts_of_{{ step }} as (

    select
        *,
        -- The steps before the first one that is taken in this instant were taken earlier.
        case step_{{ step }}
            when 1 then event_at
            {%- for earlier in range(1, step) %}
            when {{ earlier + 1 }} then start_{{ earlier }}
            {%- endfor %}
        end as start_of_attempt
    from before_{{ step }}

),

depth_{{ step }} as (

    select
        *,
        case
            when {{ seconds_between('start_of_attempt', 'event_at') }} <= window_seconds then start_of_attempt
        end as latest_start
    from starts_of_{{ step }}

),

{% endfor -%}
reached as (
    {%- for step in range(1, most + 1) %}

    select
        funnel,
        person_key,
        window_seconds,
        {{ step }} as deepest_step,
        min(event_at) as reached_at
    from depth_{{ step }}
    where latest_start is not null
    group by funnel, person_key, window_seconds
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}

),

ranked as (

    select
        *,
        row_number() over (partition by funnel, person_key order by deepest_step desc) as nth_deepest
    from reached

),

deepest as (

    select * from ranked
    where nth_deepest = 1

),

attempt_1 as (

    select
        deepest.funnel,
        deepest.person_key,
        deepest.deepest_step,
        1 as first_step_of_instant,
        cast(null as timestamp) as previous_at,
        min(instants.event_at) as step_at
    from deepest
    inner join instants
        on
            deepest.funnel = instants.funnel
            and deepest.person_key = instants.person_key
            and deepest.reached_at >= instants.event_at
    where
        instants.step_1 = 1
        and {{ seconds_between('instants.event_at', 'deepest.reached_at') }} <= deepest.window_seconds
    group by deepest.funnel, deepest.person_key, deepest.deepest_step

),

{% for step in range(2, most + 1) -%}
next_{{ step }} as (

    select
        previous.funnel,
        previous.person_key,
        previous.deepest_step,
        previous.first_step_of_instant,
        previous.step_at as previous_at,
        min(instants.event_at) as step_at
    from attempt_{{ step - 1 }} as previous
    inner join instants
        on
            previous.funnel = instants.funnel
            and previous.person_key = instants.person_key
            and previous.step_at <= instants.event_at
    where
        previous.deepest_step >= {{ step }}
        and instants.step_{{ step }} is not null
        and (
            previous.step_at < instants.event_at
            or previous.first_step_of_instant >= instants.step_{{ step }}
        )
    group by
        previous.funnel, previous.person_key, previous.deepest_step, previous.first_step_of_instant, previous.step_at

),

attempt_{{ step }} as (

    select
        funnel,
        person_key,
        deepest_step,
        case when step_at = previous_at then first_step_of_instant else {{ step }} end as first_step_of_instant,
        previous_at,
        step_at
    from next_{{ step }}

),

{% endfor -%}
final as (
    {%- for step in range(1, most + 1) %}

    select
        funnel,
        person_key,
        {{ step }} as step,
        step_at,
        {{ seconds_between('previous_at', 'step_at') }} as seconds_from_previous
    from attempt_{{ step }}
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}

)

select * from final
