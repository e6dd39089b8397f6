-- Which days this run writes history for: those of int_as_of_dates on which a segment was not evaluated before, or all
-- of them in a restatement. An attribute set is evaluated as a whole (segment `all`): its values are in the data.
{%- set wanted = env_var('EVALUATE_SET', '') %}
with evaluations as (

    select * from {{ source('runs', 'evaluations') }}

),

-- A history begins with one day: fct_segment_membership_history relies on it.
as_of_dates as (

    select every_date.as_of_date
    from {{ ref('int_as_of_dates') }} as every_date
    where
        every_date.as_of_date = (select max(latest.as_of_date) from {{ ref('int_as_of_dates') }} as latest)
        or exists (select 1 from evaluations)

),

segments as (

    select
        'all' as segment_set,
        'all' as segment
    {%- for set in segment_sets() if not wanted or set.name == wanted %}
    {%- for segment in set.segments %}

    union all

    select
        '{{ set.name }}',
        '{{ segment.name or "all" }}'
    {%- endfor %}
    {%- endfor %}

),

set_names as (

    select distinct segment_set
    from segments
    where segment_set <> 'all'

),

people_of_sets as (

    select
        {%- for set in segment_sets() %}
        sum(case when {{ is_in_population(set) }} then people else 0 end) as {{ set.name }},
        {%- endfor %}
        as_of_date
    from {{ ref('int_segment_combinations') }}
    group by as_of_date

),

-- Counted now: it cannot be told later who was in the population of a set without being in a segment of it.
populations as (

    select
        as_of_date,
        'all' as segment_set,
        count(*) as people
    from {{ ref('int_user_metrics') }}
    group by as_of_date

    union all

    select
        people_of_sets.as_of_date,
        set_names.segment_set,
        case set_names.segment_set
            {%- for set in segment_sets() %}
            when '{{ set.name }}' then people_of_sets.{{ set.name }}
            {%- endfor %}
        end as people
    from people_of_sets
    cross join set_names

),

planned as (

    select
        as_of_dates.as_of_date,
        segments.segment_set,
        segments.segment,
        coalesce(populations.people, 0) as people
    from as_of_dates
    cross join segments
    left join populations
        on as_of_dates.as_of_date = populations.as_of_date and segments.segment_set = populations.segment_set
    {%- if not env_var('RESTATE', '') %}
    left join evaluations
        on
            as_of_dates.as_of_date = evaluations.as_of_date
            and segments.segment_set = evaluations.segment_set
            and segments.segment = evaluations.segment
    where evaluations.as_of_date is null
    {%- endif %}

),

{% if env_var('RESTATE', '') -%}
-- What the project no longer has is not in a range that is written again by its definitions of now.
removed as (

    select
        as_of_dates.as_of_date,
        evaluations.segment_set,
        evaluations.segment,
        cast(null as bigint) as people
    from evaluations
    inner join as_of_dates
        on evaluations.as_of_date = as_of_dates.as_of_date
    left join segments
        on evaluations.segment_set = segments.segment_set and evaluations.segment = segments.segment
    where
        segments.segment is null
        {%- if wanted %}
        and evaluations.segment_set = '{{ wanted }}'
        {%- endif %}

),
{%- else -%}
last_evaluations as (

    select
        as_of_date,
        segment_set,
        segment,
        people,
        row_number() over (partition by segment_set, segment order by as_of_date desc) as nth_last
    from evaluations

),

new_days as (

    select min(as_of_date) as first_day
    from as_of_dates
    where as_of_date > (select max(evaluations.as_of_date) from evaluations)

),

-- What the project no longer has ends with the first new day: nobody is in it. Null tells that it was not defined.
removed as (

    select
        new_days.first_day as as_of_date,
        last_evaluations.segment_set,
        last_evaluations.segment,
        cast(null as bigint) as people
    from last_evaluations
    cross join new_days
    left join segments
        on last_evaluations.segment_set = segments.segment_set and last_evaluations.segment = segments.segment
    where
        segments.segment is null
        and last_evaluations.nth_last = 1
        and last_evaluations.people is not null
        and new_days.first_day is not null

),
{%- endif %}

final as (

    select * from planned
    union all
    select * from removed

)

select * from final
