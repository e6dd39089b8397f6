-- From when to when each person was in which segments, as the history holds it: a row for a group of sets (set_group)
-- in place of the stays of each segment, so that what a person did on a day is joined with few rows and not with many.
{{ config(materialized='table') }}

with stays as (

    select
        -- As int_people makes it.
        {{ hash64('user_id') }} as person_key,
        {{ set_group('segment_set') }} as set_group,
        {{ hash64_of_all(['segment_set', 'segment']) }} as segment_key,
        valid_from,
        valid_to
    from {{ ref('fct_segment_membership_history') }}

),

came_and_went as (

    select
        person_key,
        set_group,
        valid_from as turned_on,
        {{ sum_of_hashes('segment_key') }} as segment_keys,
        count(*) as segments
    from stays
    group by person_key, set_group, valid_from

    union all

    select
        person_key,
        set_group,
        valid_to as turned_on,
        -{{ sum_of_hashes('segment_key') }} as segment_keys,
        -count(*) as segments
    from stays
    where valid_to is not null
    group by person_key, set_group, valid_to

),

turns as (

    select
        person_key,
        set_group,
        turned_on,
        {{ sum_of_hashes('segment_keys') }} as segment_keys,
        sum(segments) as segments
    from came_and_went
    group by person_key, set_group, turned_on

),

spells as (

    select
        person_key,
        set_group,
        turned_on as valid_from,
        lead(turned_on, 1, {{ end_of_time() }}) over (
            partition by person_key, set_group order by turned_on
        ) as valid_to,
        {{ sum_of_hashes('segment_keys') }} over (
            partition by person_key, set_group order by turned_on
        ) as segment_keys,
        sum(segments) over (
            partition by person_key, set_group order by turned_on
        ) as segments
    from turns

),

final as (

    select
        person_key,
        set_group,
        valid_from,
        valid_to,
        -- Equal sums are the same segments, as in int_user_segments.
        {{ hash64_of_all(['segment_keys']) }} as combination_key
    from spells
    where segments > 0

)

select * from final
