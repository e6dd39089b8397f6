-- Is each segment set still alive: do its events arrive, are its segments as large as expected, did a size jump?
-- Earlier days stay, for BI, and because the size of a segment is compared with that of the day before.
{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='as_of_date',
    on_schema_change='append_new_columns',
) }}
{%- set sets = segment_health_bounds() %}
{%- set double = type_double() %}
with latest as (

    select max(as_of_date) as as_of_date
    from {{ ref('int_as_of_dates') }}

),

daily as (

    select every_date.*
    from {{ ref('fct_segment_daily') }} as every_date
    where
        every_date.segment_set <> 'all'
        and every_date.as_of_date = (select latest.as_of_date from latest)

),

arrivals as (

    select * from {{ ref('int_event_arrivals') }}

),

-- What the YAML expects, the project's defaults filled in.
set_bounds as (
    {%- for set in sets %}

    select
        '{{ set.name }}' as segment_set,
        '{{ set.kind }}' as kind,
        {{ set.max_size_change }} as max_size_change,
        {{ set.small_size }} as small_size,
        {{ set.max_tiny_share }} as max_tiny_share
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}

),

-- Null as segment: the bounds of an attribute set are those of each of its values. Null as bound: none is stated.
segment_bounds as (
    {%- for set in sets %}
    {%- set last_set = loop.last %}
    {%- for segment in set.segments %}

    select
        '{{ set.name }}' as segment_set,
        {{ text_literal(segment.name) }} as segment,
        cast({{ 'null' if segment.min_members is none else segment.min_members }} as {{ double }}) as min_members,
        cast({{ 'null' if segment.max_share is none else segment.max_share }} as {{ double }}) as max_share,
        {{ 'true' if segment.may_be_empty else 'false' }} as may_be_empty
    {%- if not (last_set and loop.last) %}

    union all
    {%- endif %}
    {%- endfor %}
    {%- endfor %}

),

event_bounds as (
    {%- for set in sets %}
    {%- for event_type in set.event_types %}

    select
        '{{ set.name }}' as segment_set,
        '{{ event_type.name }}' as event_type,
        {{ event_type.expected_days }} as expected_days,
        '{{ event_type.status_beyond }}' as status_beyond

    union all
    {%- endfor %}
    {%- endfor %}

    -- No row: it closes the list, which may be empty.
    select
        '' as segment_set,
        '' as event_type,
        0 as expected_days,
        '' as status_beyond
    where 1 = 0

),

segments as (

    select
        daily.as_of_date,
        daily.segment_set,
        daily.segment,
        daily.members,
        daily.share,
        segment_bounds.min_members,
        segment_bounds.max_share,
        segment_bounds.may_be_empty
    from daily
    inner join segment_bounds
        on
            daily.segment_set = segment_bounds.segment_set
            and (segment_bounds.segment is null or daily.segment = segment_bounds.segment)

),

-- The last day that was built before this one. Later days may be there, too: somebody asks again for a day in the past.
previous_sizes as (

    {% if is_incremental() -%}
    select
        segment_set,
        segment,
        value as members
    from {{ this }}
    where
        check_name = 'size_change'
        and as_of_date = (
            select max(earlier.as_of_date)
            from {{ this }} as earlier
            where earlier.as_of_date < (select latest.as_of_date from latest)
        )
    {%- else -%}
    select
        segment_set,
        segment,
        members
    from daily
    where 1 = 0
    {%- endif %}

),

sizes as (

    select
        segments.as_of_date,
        segments.segment_set,
        segments.segment,
        segments.members,
        previous_sizes.members as previous_members
    from segments
    left join previous_sizes
        on segments.segment_set = previous_sizes.segment_set and segments.segment = previous_sizes.segment

    union all

    -- A value of an attribute set that is gone: it has no row of its own any more, and would vanish unnoticed.
    select
        latest.as_of_date,
        previous_sizes.segment_set,
        previous_sizes.segment,
        0 as members,
        previous_sizes.members as previous_members
    from previous_sizes
    cross join latest
    inner join set_bounds
        on previous_sizes.segment_set = set_bounds.segment_set and set_bounds.kind = 'attribute'
    left join segments
        on previous_sizes.segment_set = segments.segment_set and previous_sizes.segment = segments.segment
    where segments.segment is null and previous_sizes.members > 0

),

-- Sizes below small_size count as small_size: from 2 to 7 is chance, and from 0 no factor leads anywhere.
size_changes as (

    select
        sizes.as_of_date,
        sizes.segment_set,
        sizes.segment,
        sizes.members,
        sizes.previous_members,
        set_bounds.max_size_change,
        greatest(sizes.members, set_bounds.small_size) as size_now,
        greatest(sizes.previous_members, set_bounds.small_size) as size_before
    from sizes
    inner join set_bounds
        on sizes.segment_set = set_bounds.segment_set

),

-- A share is null where the population is empty: no segment is tiny there.
tiny_shares as (

    select
        segments.as_of_date,
        segments.segment_set,
        set_bounds.max_tiny_share,
        cast(count(case when segments.share < 0.01 then 1 end) as {{ double }}) / count(*) as tiny_share
    from segments
    inner join set_bounds
        on segments.segment_set = set_bounds.segment_set
    group by segments.as_of_date, segments.segment_set, set_bounds.max_tiny_share

),

checks as (

    select
        as_of_date,
        segment_set,
        segment,
        'min_members' as check_name,
        case when members < min_members then 'fail' else 'ok' end as status,
        members as value,
        -- The first of the selects gives the columns their types on some engines.
        cast(null as {{ double }}) as previous_value,
        min_members as limit_value
    from segments

    union all

    select
        as_of_date,
        segment_set,
        segment,
        'max_share' as check_name,
        case when share > max_share then 'fail' else 'ok' end as status,
        share as value,
        null as previous_value,
        max_share as limit_value
    from segments

    union all

    select
        as_of_date,
        segment_set,
        segment,
        'not_empty' as check_name,
        case when members = 0 and not may_be_empty then 'warn' else 'ok' end as status,
        members as value,
        null as previous_value,
        case when may_be_empty then 0 else 1 end as limit_value
    from segments

    union all

    select
        as_of_date,
        segment_set,
        segment,
        'size_change' as check_name,
        case
            when previous_members is null then 'ok'
            when size_now > max_size_change * size_before then 'warn'
            when size_before > max_size_change * size_now then 'warn'
            else 'ok'
        end as status,
        members as value,
        previous_members as previous_value,
        max_size_change as limit_value
    from size_changes

    union all

    select
        as_of_date,
        segment_set,
        'all' as segment,
        'tiny_segments' as check_name,
        case when tiny_share > max_tiny_share then 'warn' else 'ok' end as status,
        tiny_share as value,
        null as previous_value,
        max_tiny_share as limit_value
    from tiny_shares

    union all

    select
        latest.as_of_date,
        event_bounds.segment_set,
        'all' as segment,
        'event_type_arrives: ' || event_bounds.event_type as check_name,
        case
            when arrivals.days_since_last_event <= event_bounds.expected_days then 'ok'
            -- Also where there never was such an event.
            else event_bounds.status_beyond
        end as status,
        arrivals.days_since_last_event as value,
        null as previous_value,
        event_bounds.expected_days as limit_value
    from event_bounds
    cross join latest
    left join arrivals
        on latest.as_of_date = arrivals.as_of_date and event_bounds.event_type = arrivals.event_type
    -- Null where there was no event at all.
    where latest.as_of_date is not null

),

final as (

    select
        as_of_date,
        segment_set,
        segment,
        check_name,
        status,
        cast(value as {{ double }}) as value,
        cast(previous_value as {{ double }}) as previous_value,
        cast(limit_value as {{ double }}) as limit_value
    from checks

)

select * from final
