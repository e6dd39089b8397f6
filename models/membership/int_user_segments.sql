-- Everybody at each as-of date, and the segments of all sets side by side, a column a set (segment_columns). Values of
-- an attribute set with few members at a date are folded into `other` here and nowhere else: history and marts count
-- what this one says. Of a set that declares a purpose, only people who agree to it are there.
{{ config(materialized='table') }}
{%- set sets = segment_sets() %}
{%- set columns = segment_columns() %}
with metrics as (

    select
        as_of_date,
        user_id
    from {{ ref('int_user_metrics') }}

),

{% for set in sets -%}
seg_{{ set.name }} as (

    select
        every_user.as_of_date,
        every_user.user_id,
        {{ 'every_user.segment' if set.kind == 'attribute' else flags_as_number(set, 'every_user') ~ ' as flags' }}
    from {{ ref('seg_' ~ set.name) }} as every_user
    where {{ of_purpose(set, 'every_user') }}

),

{% if set.kind == 'attribute' -%}
sizes_of_{{ set.name }} as (

    select
        as_of_date,
        segment,
        case when count(*) < {{ var('min_segment_size') }} then 'other' else segment end as segment_or_other
    from seg_{{ set.name }}
    group by as_of_date, segment

),

{% endif -%}
{%- endfor -%}
side_by_side as (

    select
        {%- for set in sets %}
        {%- if set.kind == 'attribute' %}
        seg_{{ set.name }}.user_id is not null as in_{{ set.name }},
        sizes_of_{{ set.name }}.segment_or_other as {{ set.name }},
        {%- else %}
        seg_{{ set.name }}.flags as {{ set.name }},
        {%- endif %}
        {%- endfor %}
        metrics.as_of_date,
        metrics.user_id
    from metrics
    {% for set in sets -%}
    left join seg_{{ set.name }}
        on metrics.as_of_date = seg_{{ set.name }}.as_of_date and metrics.user_id = seg_{{ set.name }}.user_id
    {% if set.kind == 'attribute' -%}
    left join sizes_of_{{ set.name }}
        on
            seg_{{ set.name }}.as_of_date = sizes_of_{{ set.name }}.as_of_date
            and seg_{{ set.name }}.segment = sizes_of_{{ set.name }}.segment
    {% endif -%}
    {% endfor %}
),

final as (

    select
        *,
        -- Users of one combination are in the same segments. That two of a million combinations get one number is less
        -- likely than 1 in 10 million.
        {{ hash64_of_all(columns) }} as combination_key
    from side_by_side

)

select * from final
