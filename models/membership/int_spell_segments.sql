-- The segments of each combination that somebody was ever in, as one of those people has them.
{{ config(materialized='table') }}

with spells as (

    select * from {{ ref('int_segment_spells') }}

),

people as (

    select
        combination_key,
        min(person_key) as person_key
    from spells
    group by combination_key

),

examples as (

    select
        spells.combination_key,
        spells.person_key,
        spells.set_group,
        min(spells.valid_from) as valid_from
    from spells
    inner join people
        on spells.combination_key = people.combination_key and spells.person_key = people.person_key
    group by spells.combination_key, spells.person_key, spells.set_group

),

stays as (

    select
        {{ hash64('user_id') }} as person_key,
        {{ set_group('segment_set') }} as set_group,
        segment_set,
        segment,
        valid_from,
        coalesce(valid_to, {{ end_of_time() }}) as valid_to
    from {{ ref('fct_segment_membership_history') }}

),

final as (

    select
        examples.combination_key,
        stays.segment_set,
        stays.segment,
        {{ hash64_of_all(['stays.segment_set', 'stays.segment']) }} as segment_key
    from examples
    inner join stays
        on
            examples.person_key = stays.person_key
            and examples.set_group = stays.set_group
            and examples.valid_from >= stays.valid_from
            and examples.valid_from < stays.valid_to

)

select * from final
