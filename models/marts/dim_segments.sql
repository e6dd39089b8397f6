-- The catalogue: what each segment means and how it is defined, as the SQL and the YAML of models/segments say it. An
-- attribute set has a row for each value that somebody has.
{%- set sets = segment_sets() %}
with membership as (

    select * from {{ ref('fct_segment_membership') }}

),

-- Null as segment: the values of an attribute set are not in the project, but in the data.
documented as (

    select
        'all' as segment_set,
        'all' as segment,
        'Everybody: the whole that other rows are compared with.' as description,
        {{ text_literal(none) }} as rationale,
        {{ text_literal(none) }} as action,
        {{ text_literal(none) }} as objective,
        {{ text_literal(none) }} as owner,
        'exclusive' as overlap,
        'total' as coverage,
        'all' as kind,
        'Everybody who was ever active by the as-of date.' as population,
        cast(null as date) as since,
        cast(null as date) as review_by,
        {{ text_literal(none) }} as predicate
    {%- for set in sets %}
    {%- for segment in set.segments %}

    union all

    select
        {{ text_literal(set.name) }},
        {{ text_literal(segment.name) }},
        {{ text_literal(segment.description) }},
        {{ text_literal(segment.rationale) }},
        {{ text_literal(segment.action) }},
        {{ text_literal(set.objective) }},
        {{ text_literal(set.owner) }},
        {{ text_literal(set.overlap) }},
        {{ text_literal(set.coverage) }},
        {{ text_literal(set.kind) }},
        {{ text_literal(set.population) }},
        cast({{ text_literal(segment.since) }} as date),
        cast({{ text_literal(set.review_by) }} as date),
        {{ text_literal(segment_predicate(set.node, segment.column)) }}
    {%- endfor %}
    {%- endfor %}

),

attribute_values as (

    select distinct
        membership.segment_set,
        membership.segment
    from membership
    inner join documented
        on membership.segment_set = documented.segment_set
    where documented.segment is null

),

final as (

    select
        documented.segment_set,
        coalesce(documented.segment, attribute_values.segment) as segment,
        documented.description,
        documented.rationale,
        documented.action,
        documented.objective,
        documented.owner,
        documented.overlap,
        documented.coverage,
        documented.kind,
        documented.population,
        documented.since,
        documented.review_by,
        documented.predicate
    from documented
    left join attribute_values
        on documented.segment is null and documented.segment_set = attribute_values.segment_set
    -- An attribute set in which nobody is.
    where coalesce(documented.segment, attribute_values.segment) is not null

)

select * from final
