-- How many are in each segment of the catalogue, the empty ones included, and what share that is of the set's
-- population (the rows of its model).
with catalogue as (

    select * from {{ ref('dim_segments') }}

),

membership as (

    select * from {{ ref('fct_segment_membership') }}

),

latest as (

    select max(as_of_date) as as_of_date
    from {{ ref('int_as_of_dates') }}

),

populations as (

    select
        'all' as segment_set,
        count(*) as people
    from {{ ref('int_user_metrics') }} as every_date
    where every_date.as_of_date = (select latest.as_of_date from latest)
    {%- for set in segment_sets() %}

    union all

    select
        '{{ set.name }}' as segment_set,
        count(*) as people
    from {{ ref('seg_' ~ set.name) }} as every_date
    where every_date.as_of_date = (select latest.as_of_date from latest)
    {%- endfor %}

),

sizes as (

    select
        segment_set,
        segment,
        count(*) as members
    from membership
    group by segment_set, segment

    union all

    select
        segment_set,
        'all' as segment,
        people as members
    from populations
    where segment_set = 'all'

),

final as (

    select
        latest.as_of_date,
        catalogue.segment_set,
        catalogue.segment,
        coalesce(sizes.members, 0) as members,
        -- Null where the population is empty: no share is right there.
        cast(coalesce(sizes.members, 0) as {{ type_double() }}) / nullif(populations.people, 0) as share
    from catalogue
    cross join latest
    inner join populations
        on catalogue.segment_set = populations.segment_set
    left join sizes
        on catalogue.segment_set = sizes.segment_set and catalogue.segment = sizes.segment
    -- Null where there was no event at all.
    where latest.as_of_date is not null

)

select * from final
