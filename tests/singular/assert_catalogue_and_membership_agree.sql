-- Every segment that somebody is in is in the catalogue; every segment of the catalogue has just the members that its
-- own SQL says; every set of models/segments is in the catalogue, and none of its attribute values is too small.
{%- set sets = segment_sets() %}
with catalogue as (

    select * from {{ ref('dim_segments') }}
    where segment_set <> 'all'

),

membership as (

    select
        segment_set,
        segment,
        count(*) as members
    from {{ ref('fct_segment_membership') }}
    group by segment_set, segment

),

latest as (

    select max(as_of_date) as as_of_date
    from {{ ref('int_as_of_dates') }}

),

-- Counted again from the sets, without the combinations: flag by flag; of an attribute set all values together.
{% for set in sets -%}
seg_{{ set.name }} as (

    select every_date.*
    from {{ ref('seg_' ~ set.name) }} as every_date
    where
        every_date.as_of_date = (select latest.as_of_date from latest)
        and {{ of_purpose(set, 'every_date') }}

),

{% endfor -%}
defined as (
    {%- for set in sets %}
    {%- set set_loop = loop %}
    {%- for segment in set.segments %}
    {%- if not (set_loop.first and loop.first) %}

    union all
    {%- endif %}

    select
        '{{ set.name }}' as segment_set,
        {{ text_literal(segment.name) }} as segment,
        {% if segment.name is none -%}
        count(*) as members
        {%- else -%}
        count(case when {{ adapter.quote(segment.name) }} then 1 end) as members
        {%- endif %}
    from seg_{{ set.name }}
    {%- endfor %}
    {%- endfor %}

),

built as (

    select
        catalogue.segment_set,
        case when catalogue.kind = 'flags' then catalogue.segment end as segment,
        sum(coalesce(membership.members, 0)) as members
    from catalogue
    left join membership
        on catalogue.segment_set = membership.segment_set and catalogue.segment = membership.segment
    group by catalogue.segment_set, case when catalogue.kind = 'flags' then catalogue.segment end

),

models as (

    select cast(null as {{ dbt.type_string() }}) as segment_set
    {%- if execute %}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.name.startswith('seg_') %}
    union all
    select '{{ node.name[4:] }}'
    {%- endfor %}
    {%- endif %}

),

failures as (

    select
        'members, but not in the catalogue' as failed_check,
        membership.segment_set,
        membership.segment
    from membership
    left join catalogue
        on membership.segment_set = catalogue.segment_set and membership.segment = catalogue.segment
    where catalogue.segment is null

    union all

    select
        'in the catalogue, but not in the project' as failed_check,
        built.segment_set,
        built.segment
    from built
    left join defined
        on built.segment_set = defined.segment_set and {{ same('built.segment', 'defined.segment') }}
    where defined.segment_set is null

    union all

    select
        'members are not those of the definition' as failed_check,
        defined.segment_set,
        defined.segment
    from defined
    left join built
        on defined.segment_set = built.segment_set and {{ same('defined.segment', 'built.segment') }}
    where defined.members <> coalesce(built.members, 0) or (defined.segment is not null and built.segment is null)

    union all

    select
        'a value of the catalogue without members' as failed_check,
        catalogue.segment_set,
        catalogue.segment
    from catalogue
    left join membership
        on catalogue.segment_set = membership.segment_set and catalogue.segment = membership.segment
    where catalogue.kind = 'attribute' and membership.segment is null

    union all

    select
        'a value with too few members' as failed_check,
        membership.segment_set,
        membership.segment
    from membership
    inner join catalogue
        on membership.segment_set = catalogue.segment_set and membership.segment = catalogue.segment
    where
        catalogue.kind = 'attribute'
        and membership.segment <> 'other'
        and membership.members < {{ var('min_segment_size') }}

    union all

    select
        'a set that vars.segment_sets does not list' as failed_check,
        models.segment_set,
        null as segment
    from models
    where
        models.segment_set is not null
        {%- for set in sets %}
        and models.segment_set <> '{{ set.name }}'
        {%- endfor %}

)

select * from failures
