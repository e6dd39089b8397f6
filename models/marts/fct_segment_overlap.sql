-- How many users two segments have in common: each pair once, segment_set_a and segment_a before b in the alphabet.
-- Pairs of one exclusive set are disjoint, which its tests prove: they are left out, unless somebody is in both.
{%- set sets_of_flags = segment_sets() | selectattr('kind', 'equalto', 'flags') | list %}
{%- set sets_of_values = segment_sets() | rejectattr('kind', 'equalto', 'flags') | list %}
{%- set flags = sets_of_flags | map(attribute='name') | list %}
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

-- Pairs are made of combinations of segments, not of people. Flags are taken apart: many people share all of theirs,
-- and hardly anybody all values of attribute sets besides.
combinations as (

    select
        *,
        {{ hash64_of_all(flags or ['1']) }} as flags_key
    from {{ ref('int_segment_combinations') }}
    where as_of_date = (select latest.as_of_date from latest)

),

flag_combinations as (

    select
        flags_key,
        {{ flags | map('string') | join(',\n        ') ~ ',' if flags }}
        sum(people) as people
    from combinations
    group by {{ (['flags_key'] + flags) | join(', ') }}

),

flag_rows as (
    {{- segments_as_rows('flag_combinations', ['flags_key', 'people'], sets_of_flags) }}

),

value_rows as (
    {{- segments_as_rows('combinations', ['combination_key', 'flags_key', 'people'], sets_of_values) }}

),

flag_segments as (

    select
        flag_rows.flags_key,
        flag_rows.people,
        catalogue.segment_number
    from flag_rows
    inner join catalogue
        on flag_rows.segment_set = catalogue.segment_set and flag_rows.segment = catalogue.segment

),

value_segments as (

    select
        value_rows.combination_key,
        value_rows.flags_key,
        value_rows.people,
        catalogue.segment_number
    from value_rows
    inner join catalogue
        on value_rows.segment_set = catalogue.segment_set and value_rows.segment = catalogue.segment

),

values_of_flags as (

    select
        flags_key,
        segment_number,
        sum(people) as people
    from value_segments
    group by flags_key, segment_number

),

sizes as (

    select
        segment_number,
        sum(people) as members
    from flag_segments
    group by segment_number

    union all

    select
        segment_number,
        sum(people) as members
    from values_of_flags
    group by segment_number

),

common as (

    -- Two flags.
    select
        a.segment_number as segment_number_a,
        b.segment_number as segment_number_b,
        sum(a.people) as members
    from flag_segments as a
    inner join flag_segments as b
        on a.flags_key = b.flags_key and a.segment_number < b.segment_number
    group by a.segment_number, b.segment_number

    union all

    -- A flag and a value.
    select
        least(flag_segments.segment_number, values_of_flags.segment_number) as segment_number_a,
        greatest(flag_segments.segment_number, values_of_flags.segment_number) as segment_number_b,
        sum(values_of_flags.people) as members
    from flag_segments
    inner join values_of_flags
        on flag_segments.flags_key = values_of_flags.flags_key
    group by flag_segments.segment_number, values_of_flags.segment_number

    union all

    -- Two values.
    select
        a.segment_number as segment_number_a,
        b.segment_number as segment_number_b,
        sum(a.people) as members
    from value_segments as a
    inner join value_segments as b
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
