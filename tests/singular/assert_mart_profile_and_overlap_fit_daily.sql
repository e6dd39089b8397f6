-- fct_segment_profile tells of each segment with members, metric for metric; fct_segment_overlap of each pair that can
-- have users in common, with the sizes that fct_segment_daily gives for the latest day.
with catalogue as (

    select * from {{ ref('dim_segments') }}
    where segment_set <> 'all'

),

latest as (

    select max(as_of_date) as as_of_date
    from {{ ref('int_as_of_dates') }}

),

sizes as (

    select every_date.*
    from {{ ref('fct_segment_daily') }} as every_date
    where
        every_date.segment_set <> 'all'
        and every_date.as_of_date = (select latest.as_of_date from latest)

),

profile as (

    select * from {{ ref('fct_segment_profile') }}

),

overlap as (

    select * from {{ ref('fct_segment_overlap') }}

),

profiled as (

    select
        segment_set,
        segment,
        count(*) as metrics
    from profile
    group by segment_set, segment

),

failures as (

    select
        'profile: metrics are missing' as failed_check,
        sizes.segment_set,
        sizes.segment,
        null as other_segment
    from sizes
    left join profiled
        on sizes.segment_set = profiled.segment_set and sizes.segment = profiled.segment
    where sizes.members > 0 and coalesce(profiled.metrics, 0) <> 5

    union all

    select
        'profile: nobody is in the segment' as failed_check,
        profiled.segment_set,
        profiled.segment,
        null as other_segment
    from profiled
    left join sizes
        on profiled.segment_set = sizes.segment_set and profiled.segment = sizes.segment
    where coalesce(sizes.members, 0) = 0

    union all

    select
        'overlap: the pair is missing' as failed_check,
        a.segment_set,
        a.segment,
        b.segment as other_segment
    from catalogue as a
    inner join catalogue as b
        on a.segment_set < b.segment_set or (a.segment_set = b.segment_set and a.segment < b.segment)
    left join overlap
        on
            a.segment_set = overlap.segment_set_a
            and a.segment = overlap.segment_a
            and b.segment_set = overlap.segment_set_b
            and b.segment = overlap.segment_b
    where overlap.segment_a is null and (a.segment_set <> b.segment_set or a.overlap <> 'exclusive')

    union all

    select
        'overlap: sizes are not those of fct_segment_daily' as failed_check,
        overlap.segment_set_a,
        overlap.segment_a,
        overlap.segment_b as other_segment
    from overlap
    left join sizes as a
        on overlap.segment_set_a = a.segment_set and overlap.segment_a = a.segment
    left join sizes as b
        on overlap.segment_set_b = b.segment_set and overlap.segment_b = b.segment
    where
        overlap.members_a <> coalesce(a.members, -1)
        or overlap.members_b <> coalesce(b.members, -1)
        or overlap.members_both > least(overlap.members_a, overlap.members_b)
        or overlap.members_both + overlap.members_either <> overlap.members_a + overlap.members_b
        or coalesce(overlap.jaccard, 0) * overlap.members_either not between
        overlap.members_both - 1e-6 and overlap.members_both + 1e-6

)

select * from failures
