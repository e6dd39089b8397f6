-- How many users two segments have in common: each pair once, segment_set_a and segment_a before b in the alphabet.
-- Pairs of one exclusive set are disjoint, which its tests prove: they are left out, unless somebody is in both.
with latest as (

    select max(as_of_date) as as_of_date
    from {{ ref('int_as_of_dates') }}

),

catalogue as (

    select
        segment_set,
        segment,
        overlap,
        row_number() over (order by segment_set, segment) as segment_number
    from {{ ref('dim_segments') }}
    where segment_set <> 'all'

),

-- A few thousand combinations stand for all users: the pairs are made of these, not of the users.
combination_segments as (

    select
        segments.combination_key,
        segments.people,
        catalogue.segment_number
    from {{ ref('int_combination_segments') }} as segments
    inner join catalogue
        on segments.segment_set = catalogue.segment_set and segments.segment = catalogue.segment
    where segments.as_of_date = (select latest.as_of_date from latest)

),

sizes as (

    select
        segment_number,
        sum(people) as members
    from combination_segments
    group by segment_number

),

common as (

    select
        a.segment_number as segment_number_a,
        b.segment_number as segment_number_b,
        sum(a.people) as members
    from combination_segments as a
    inner join combination_segments as b
        on a.combination_key = b.combination_key and a.segment_number < b.segment_number
    group by a.segment_number, b.segment_number

),

pairs as (

    select
        a.segment_set as segment_set_a,
        a.segment as segment_a,
        b.segment_set as segment_set_b,
        b.segment as segment_b,
        a.segment_set = b.segment_set and a.overlap = 'exclusive' as is_disjoint_by_definition,
        cast(coalesce(sizes_a.members, 0) as bigint) as members_a,
        cast(coalesce(sizes_b.members, 0) as bigint) as members_b,
        cast(coalesce(common.members, 0) as bigint) as members_both
    from catalogue as a
    inner join catalogue as b
        on a.segment_number < b.segment_number
    left join sizes as sizes_a
        on a.segment_number = sizes_a.segment_number
    left join sizes as sizes_b
        on b.segment_number = sizes_b.segment_number
    left join common
        on a.segment_number = common.segment_number_a and b.segment_number = common.segment_number_b

),

final as (

    select
        latest.as_of_date,
        pairs.segment_set_a,
        pairs.segment_a,
        pairs.segment_set_b,
        pairs.segment_b,
        pairs.members_a,
        pairs.members_b,
        pairs.members_both,
        pairs.members_a + pairs.members_b - pairs.members_both as members_either,
        -- Null where both are empty.
        cast(pairs.members_both as {{ type_double() }})
        / nullif(pairs.members_a + pairs.members_b - pairs.members_both, 0) as jaccard
    from pairs
    cross join latest
    where latest.as_of_date is not null and (pairs.members_both > 0 or not pairs.is_disjoint_by_definition)

)

select * from final
