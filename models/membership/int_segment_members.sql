-- Who is in which segment, of every set, at each as-of date. Values of an attribute set with few members at a date are
-- folded into `other` here and nowhere else: history and marts count what this one says. Of a set that declares a
-- purpose, only people who agree to it are there.
{%- set sets = segment_sets() %}
with
{% for set in sets -%}
seg_{{ set.name }} as (

    select every_user.*
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

members_of_{{ set.name }} as (

    select
        seg_{{ set.name }}.as_of_date,
        seg_{{ set.name }}.user_id,
        sizes_of_{{ set.name }}.segment_or_other as segment
    from seg_{{ set.name }}
    inner join sizes_of_{{ set.name }}
        on
            seg_{{ set.name }}.as_of_date = sizes_of_{{ set.name }}.as_of_date
            and seg_{{ set.name }}.segment = sizes_of_{{ set.name }}.segment

),
{%- else -%}
members_of_{{ set.name }} as (

    {{ unpivot_segments('seg_' ~ set.name, set.segments | map(attribute='name') | list) }}

),
{%- endif %}

{% endfor -%}
final as (

    {% for set in sets -%}
    select
        as_of_date,
        user_id,
        '{{ set.name }}' as segment_set,
        segment
    from members_of_{{ set.name }}
    {% if not loop.last -%}
    union all
    {% endif -%}
    {%- endfor %}

)

select * from final
