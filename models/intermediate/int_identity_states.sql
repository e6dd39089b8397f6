-- What it depends on whose the pairs of a group are, as one number for each group: where it is the same as before,
-- int_people keeps its rows.
{{ config(materialized='table') }}

with identity_groups as (

    select * from {{ ref('int_identity_groups') }}

),

final as (

    select
        group_key,
        {{ hash64_of_all([sum_of_hashes('row_key')]) }} as state_key
    from identity_groups
    group by group_key

)

select * from final
