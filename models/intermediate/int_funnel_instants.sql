-- When each person did what a funnel names, as people are known at the latest as-of date: one row for each moment with
-- one event or more of the funnel.
--
-- step_3 says whether step 3 can be taken there (null: no), and how many steps before it can be taken in the same
-- instant: 2 is step 2 and 3, 3 is step 3 alone. A single event is one step and no more, so that all its steps stand
-- for themselves. Of several events in one instant, steps i to k can all be taken when each finds an event of its own:
-- for every word of the funnel, no more of these steps ask for what it covers than there are events of it. That is
-- enough, since two words either cover nothing in common or one covers the other (a type its names).
{{ config(materialized='table') }}
{%- set most = var('max_funnel_steps') %}

with latest as (

    select max(as_of_date) as as_of_date
    from {{ ref('int_as_of_dates') }}

),

steps as (

    select * from {{ ref('stg_generic__funnels') }}

),

person_key_events as (

    select * from {{ ref('int_person_key_events') }}
    where as_of_date = (select latest.as_of_date from latest)

),

kinds as (

    select distinct
        event_name,
        event_type
    from {{ ref('int_key_events') }}

),

kinds_of_steps as (

    select
        steps.funnel,
        steps.step,
        kinds.event_name,
        kinds.event_type,
        dense_rank() over (order by kinds.event_name, kinds.event_type) as kind_number
    from steps
    inner join kinds
        on {{ word_is_of_event('steps.event', 'kinds.event_name', 'kinds.event_type') }}

),

-- A handful of rows, so that events are joined by equality.
kinds_of_funnels as (

    select
        funnel,
        event_name,
        event_type,
        kind_number,
        {%- for step in range(1, most + 1) %}
        max(case when step = {{ step }} then {{ step }} end) as step_{{ step }}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from kinds_of_steps
    group by funnel, event_name, event_type, kind_number

),

events as (

    select
        kinds_of_funnels.funnel,
        kinds_of_funnels.kind_number,
        person_key_events.person_key,
        person_key_events.event_at
    from person_key_events
    inner join kinds_of_funnels
        on
            person_key_events.event_name = kinds_of_funnels.event_name
            and person_key_events.event_type = kinds_of_funnels.event_type

),

instants as (

    select
        funnel,
        person_key,
        event_at,
        count(*) as events,
        min(kind_number) as kind_number
    from events
    group by funnel, person_key, event_at

),

-- Several events in one instant: how many there are of what each step asks for.
crowded as (

    select
        instants.funnel,
        instants.person_key,
        instants.event_at,
        kinds_of_steps.step,
        count(*) as events
    from instants
    inner join events
        on
            instants.funnel = events.funnel
            and instants.person_key = events.person_key
            and instants.event_at = events.event_at
    inner join kinds_of_steps
        on events.funnel = kinds_of_steps.funnel and events.kind_number = kinds_of_steps.kind_number
    where instants.events > 1
    group by instants.funnel, instants.person_key, instants.event_at, kinds_of_steps.step

),

-- For each step and each word: the steps up to it that ask for what the word covers, counted back from it.
claims as (

    select
        steps.funnel,
        steps.step,
        words.step as word_step,
        claiming.step as claiming_step,
        row_number() over (
            partition by steps.funnel, steps.step, words.step order by claiming.step desc
        ) as claims_so_far
    from steps
    inner join steps as words
        on steps.funnel = words.funnel
    inner join steps as claiming
        on steps.funnel = claiming.funnel and steps.step >= claiming.step
    where
        claiming.event = words.event
        or exists (
            select 1 from kinds
            where
                claiming.event = kinds.event_name
                and words.event = kinds.event_type
                -- A name that is also the word of a type stands for the type.
                and not {{ is_event_type('claiming.event') }}
        )

),

crowded_instants as (

    select distinct
        funnel,
        person_key,
        event_at
    from crowded

),

-- Steps up to the one that asks for an event too many cannot be taken together with this one.
limits as (

    select
        moments.funnel,
        moments.person_key,
        moments.event_at,
        steps.step,
        coalesce(max(claims.claiming_step), 0) + 1 as first_step
    from crowded_instants as moments
    inner join steps
        on moments.funnel = steps.funnel
    inner join steps as words
        on moments.funnel = words.funnel
    left join crowded
        on
            moments.funnel = crowded.funnel
            and moments.person_key = crowded.person_key
            and moments.event_at = crowded.event_at
            and words.step = crowded.step
    left join claims
        on
            steps.funnel = claims.funnel
            and steps.step = claims.step
            and words.step = claims.word_step
            and coalesce(crowded.events, 0) + 1 = claims.claims_so_far
    group by moments.funnel, moments.person_key, moments.event_at, steps.step

),

final as (

    select
        instants.funnel,
        instants.person_key,
        instants.event_at,
        {%- for step in range(1, most + 1) %}
        cast(kinds_of_funnels.step_{{ step }} as smallint) as step_{{ step }}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from instants
    inner join kinds_of_funnels
        on instants.funnel = kinds_of_funnels.funnel and instants.kind_number = kinds_of_funnels.kind_number
    where instants.events = 1

    union all

    select
        funnel,
        person_key,
        event_at,
        {%- for step in range(1, most + 1) %}
        cast(max(case when step = {{ step }} then first_step end) as smallint) as step_{{ step }}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from limits
    where first_step <= step
    group by funnel, person_key, event_at

)

select * from final
