-- The segments of each combination, of every set, as rows.
with combinations as (

    select * from {{ ref('int_segment_combinations') }}

),

final as (
    {{- segments_as_rows('combinations', ['as_of_date', 'combination_key', 'people']) }}

)

select * from final
