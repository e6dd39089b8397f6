-- The segments of each combination, of every set, as rows.
{%- set sets = segment_sets() %}
with combinations as (

    select * from {{ ref('int_segment_combinations') }}

),

final as (
    {%- for set in sets %}
    {%- for segment in set.segments %}

    select
        as_of_date,
        combination_key,
        people,
        '{{ set.name }}' as segment_set,
        {{ "'" ~ segment.name ~ "'" if set.kind == 'flags' else set.name }} as segment
    from combinations
    where {{ set.name ~ '__' ~ segment.name if set.kind == 'flags' else set.name ~ ' is not null' }}

    union all
    {%- endfor %}
    {%- endfor %}

    -- No row: it closes the list.
    select
        as_of_date,
        combination_key,
        people,
        '' as segment_set,
        '' as segment
    from combinations
    where 1 = 0

)

select * from final
