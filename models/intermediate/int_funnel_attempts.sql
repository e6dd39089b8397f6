-- The one attempt of each person at each funnel that counts, step by step: the deepest, and of equally deep ones the
-- first. It begins as early as one of that depth can, and takes each step as early as it can. People are as they are
-- known at the latest as-of date. Stored: computed are people whose events are others than before (int_funnel_states).
--
-- First the moments (instants): step_3 says whether step 3 can be taken there (null: no), and how many steps before it
-- can be taken in the same instant: 2 is step 2 and 3, 3 is step 3 alone. A single event is one step and no more, so
-- that all its steps stand for themselves. Of several events in one instant, steps i to k can all be taken when each
-- finds an event of its own: for every word of the funnel, no more of these steps ask for what it covers than there are
-- events of it. That is enough, since two words either cover nothing in common or one covers the other (a type its
-- names).
--
-- Then the deepest step, in one sort a step, however many events a person has. latest_start is the latest start from
-- which a step can be reached by a moment: it leaves the most of the window, so what fails with it fails with any
-- other. The first moment at which the deepest step is reached so (reached) is also where the first attempt ends:
-- whoever begins earlier, but still within the window of that moment, can take the same steps. Then, from the earliest
-- such start, the earliest moment for each step.
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{% if is_incremental() %}{{ delete_stale_rows(none_of(['person_key', 'state_key'], 'select person_key, '
        ~ 'state_key from ' ~ ref('int_funnel_states'))) }}{% endif %}",
) }}
{%- set most = longest_funnel() %}

with states as (

    select * from {{ ref('int_funnel_states') }}
    {%- if is_incremental() %}
    where
        {{ none_of(
            ['person_key', 'state_key'], 'select known.person_key, known.state_key from ' ~ this ~ ' as known'
        ) }}
    {%- endif %}

),

steps as (

    select * from {{ ref('stg_generic__funnels') }}

),

kinds_of_steps as (

    select * from {{ ref('int_funnel_kinds') }}

),

windows as (

    select distinct
        kinds_of_steps.funnel_number,
        steps.funnel,
        steps.window_seconds
    from kinds_of_steps
    inner join steps
        on kinds_of_steps.funnel = steps.funnel

),

kinds_of_funnels as (

    select
        funnel_number,
        kind_number,
        event_name,
        event_type,
        max(case when step > 1 then 1 end) as is_later_step,
        {%- for step in range(1, most + 1) %}
        cast(max(case when step = {{ step }} then {{ step }} end) as smallint) as step_{{ step }}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from kinds_of_steps
    group by funnel_number, kind_number, event_name, event_type

),

latest as (

    select max(as_of_date) as as_of_date
    from {{ ref('int_as_of_dates') }}

),

-- As in int_person_key_events, but of people to be computed alone: first their ids, then the events of these.
people as {{ materialized() }} (

    select
        pair_key,
        person_key
    from {{ ref('int_people') }}
    where
        known_from <= (select latest.as_of_date from latest)
        and known_to > (select latest.as_of_date from latest)
        and person_key in (select states.person_key from states)

),

every_event as (

    select
        kinds_of_funnels.funnel_number,
        kinds_of_funnels.kind_number,
        kinds_of_funnels.step_1,
        kinds_of_funnels.step_2,
        kinds_of_funnels.is_later_step,
        people.person_key,
        key_events.event_at
    from {{ ref('int_key_events') }} as key_events
    inner join people
        on key_events.pair_key = people.pair_key
    inner join kinds_of_funnels
        on key_events.event_name = kinds_of_funnels.event_name and key_events.event_type = kinds_of_funnels.event_type
    where key_events.event_date <= (select latest.as_of_date from latest)

),

-- Most people come to the first step and no further, which is told without a sort.
began as (

    select
        funnel_number,
        person_key,
        min(case when step_1 = 1 then event_at end) as first_start_at,
        max(case when step_2 = 2 then event_at end) as last_step_2_at,
        max(case when is_later_step = 1 then event_at end) as last_later_step_at
    from every_event
    group by funnel_number, person_key
    having min(step_1) = 1

),

-- Events that can be part of more than that.
events as (

    select
        every_event.funnel_number,
        every_event.kind_number,
        every_event.person_key,
        every_event.event_at
    from every_event
    inner join began
        on every_event.funnel_number = began.funnel_number and every_event.person_key = began.person_key
    where
        began.last_step_2_at >= began.first_start_at
        and every_event.event_at >= began.first_start_at
        and every_event.event_at <= began.last_later_step_at

),

moments as (

    select
        funnel_number,
        person_key,
        event_at,
        count(*) as events,
        min(kind_number) as kind_number
    from events
    group by funnel_number, person_key, event_at

),

crowded_moments as (

    select
        moments.funnel_number,
        moments.person_key,
        moments.event_at,
        events.kind_number
    from moments
    inner join events
        on
            moments.funnel_number = events.funnel_number
            and moments.person_key = events.person_key
            and moments.event_at = events.event_at
    where moments.events > 1

),

-- Several events in one instant: how many there are of what each step asks for.
crowded as (

    select
        crowded_moments.funnel_number,
        crowded_moments.person_key,
        crowded_moments.event_at,
        kinds_of_steps.step,
        count(*) as events
    from crowded_moments
    inner join kinds_of_steps
        on
            crowded_moments.funnel_number = kinds_of_steps.funnel_number
            and crowded_moments.kind_number = kinds_of_steps.kind_number
    group by
        crowded_moments.funnel_number, crowded_moments.person_key, crowded_moments.event_at, kinds_of_steps.step

),

steps_of_funnels as (

    select
        windows.funnel_number,
        steps.step,
        steps.event
    from steps
    inner join windows
        on steps.funnel = windows.funnel

),

-- For each step and each word: the steps up to it that ask for what the word covers, counted back from it.
claims as (

    select
        every_step.funnel_number,
        every_step.step,
        words.step as word_step,
        claiming.step as claiming_step,
        row_number() over (
            partition by every_step.funnel_number, every_step.step, words.step order by claiming.step desc
        ) as claims_so_far
    from steps_of_funnels as every_step
    inner join steps_of_funnels as words
        on every_step.funnel_number = words.funnel_number
    inner join steps_of_funnels as claiming
        on every_step.funnel_number = claiming.funnel_number and every_step.step >= claiming.step
    where
        claiming.event = words.event
        or exists (
            select 1 from kinds_of_steps
            where
                claiming.event = kinds_of_steps.event_name
                and words.event = kinds_of_steps.event_type
                -- A name that is also the word of a type stands for the type.
                and not {{ is_event_type('claiming.event') }}
        )

),

crowded_instants as (

    select distinct
        funnel_number,
        person_key,
        event_at
    from crowded

),

-- Steps up to the one that asks for an event too many cannot be taken together with this one.
limits as (

    select
        crowded_instants.funnel_number,
        crowded_instants.person_key,
        crowded_instants.event_at,
        every_step.step,
        coalesce(max(claims.claiming_step), 0) + 1 as first_step
    from crowded_instants
    inner join steps_of_funnels as every_step
        on crowded_instants.funnel_number = every_step.funnel_number
    inner join steps_of_funnels as words
        on crowded_instants.funnel_number = words.funnel_number
    left join crowded
        on
            crowded_instants.funnel_number = crowded.funnel_number
            and crowded_instants.person_key = crowded.person_key
            and crowded_instants.event_at = crowded.event_at
            and words.step = crowded.step
    left join claims
        on
            every_step.funnel_number = claims.funnel_number
            and every_step.step = claims.step
            and words.step = claims.word_step
            and coalesce(crowded.events, 0) + 1 = claims.claims_so_far
    group by crowded_instants.funnel_number, crowded_instants.person_key, crowded_instants.event_at, every_step.step

),

instants as {{ once() }} (

    select
        moments.funnel_number,
        moments.person_key,
        moments.event_at,
        {%- for step in range(1, most + 1) %}
        kinds_of_funnels.step_{{ step }}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from moments
    inner join kinds_of_funnels
        on
            moments.funnel_number = kinds_of_funnels.funnel_number
            and moments.kind_number = kinds_of_funnels.kind_number
    where moments.events = 1

    union all

    select
        funnel_number,
        person_key,
        event_at,
        {%- for step in range(1, most + 1) %}
        cast(max(case when step = {{ step }} then first_step end) as smallint) as step_{{ step }}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from limits
    where first_step <= step
    group by funnel_number, person_key, event_at

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
            funnel_number,
            person_key,
            event_at,
            {%- for later in range(step, most + 1) %}
            step_{{ later }},
            {%- endfor %}
            {%- for earlier in range(1, step - 1) %}
            start_{{ earlier }},
            {%- endfor %}
            max(latest_start) over (
                partition by funnel_number, person_key
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
        attempts.*,
        case
            when {{ seconds_between('attempts.start_of_attempt', 'attempts.event_at') }} <= windows.window_seconds
                then attempts.start_of_attempt
        end as latest_start
    from starts_of_{{ step }} as attempts
    inner join windows
        on attempts.funnel_number = windows.funnel_number

),

{% endfor -%}
reached as (
    {%- for step in range(2, most + 1) %}

    select
        funnel_number,
        person_key,
        {{ step }} as deepest_step,
        min(event_at) as reached_at
    from depth_{{ step }}
    where latest_start is not null
    group by funnel_number, person_key
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}

),

ranked as (

    select
        *,
        row_number() over (partition by funnel_number, person_key order by deepest_step desc) as nth_deepest
    from reached

),

deepest as {{ once() }} (

    select
        ranked.funnel_number,
        ranked.person_key,
        ranked.deepest_step,
        ranked.reached_at,
        windows.window_seconds
    from ranked
    inner join windows
        on ranked.funnel_number = windows.funnel_number
    where ranked.nth_deepest = 1

),

attempt_1 as (

    select
        deepest.funnel_number,
        deepest.person_key,
        deepest.deepest_step,
        1 as first_step_of_instant,
        cast(null as timestamp) as previous_at,
        min(instants.event_at) as step_at
    from deepest
    inner join instants
        on
            deepest.funnel_number = instants.funnel_number
            and deepest.person_key = instants.person_key
            and deepest.reached_at >= instants.event_at
    where
        instants.step_1 = 1
        and {{ seconds_between('instants.event_at', 'deepest.reached_at') }} <= deepest.window_seconds
    group by deepest.funnel_number, deepest.person_key, deepest.deepest_step

),

{% for step in range(2, most + 1) -%}
next_{{ step }} as (

    select
        previous.funnel_number,
        previous.person_key,
        previous.deepest_step,
        previous.first_step_of_instant,
        previous.step_at as previous_at,
        min(instants.event_at) as step_at
    from attempt_{{ step - 1 }} as previous
    inner join instants
        on
            previous.funnel_number = instants.funnel_number
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
        previous.funnel_number,
        previous.person_key,
        previous.deepest_step,
        previous.first_step_of_instant,
        previous.step_at

),

attempt_{{ step }} as (

    select
        funnel_number,
        person_key,
        deepest_step,
        case when step_at = previous_at then first_step_of_instant else {{ step }} end as first_step_of_instant,
        previous_at,
        step_at
    from next_{{ step }}

),

{% endfor -%}
taken as (

    -- Who came to the first step alone.
    select
        funnel_number,
        person_key,
        1 as step,
        first_start_at as step_at,
        cast(null as timestamp) as previous_at
    from began
    where
        {{ none_of(
            ['funnel_number', 'person_key'], 'select deepest.funnel_number, deepest.person_key from deepest'
        ) }}
    {%- for step in range(1, most + 1) %}

    union all

    select
        funnel_number,
        person_key,
        {{ step }} as step,
        step_at,
        previous_at
    from attempt_{{ step }}
    {%- endfor %}

),

final as (

    select
        windows.funnel,
        taken.person_key,
        states.state_key,
        taken.step,
        taken.step_at,
        {{ seconds_between('taken.previous_at', 'taken.step_at') }} as seconds_from_previous
    from taken
    inner join windows
        on taken.funnel_number = windows.funnel_number
    inner join states
        on taken.person_key = states.person_key

)

select * from final
