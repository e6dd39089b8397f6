-- On the latest day fct_segment_daily has a row for each segment of the catalogue and no other, with as many members as
-- the membership; shares lie in 0 to 1, and those of an exclusive set that covers its population add up to 1.
with catalogue as (

    select * from {{ ref('dim_segments') }}

),

latest as (

    select max(as_of_date) as as_of_date
    from {{ ref('int_as_of_dates') }}

),

daily as (

    select every_date.*
    from {{ ref('fct_segment_daily') }} as every_date
    where every_date.as_of_date = (select latest.as_of_date from latest)

),

membership as (

    select
        segment_set,
        segment,
        count(*) as members
    from {{ ref('fct_segment_membership') }}
    group by segment_set, segment

    union all

    select
        'all' as segment_set,
        'all' as segment,
        count(*) as members
    from {{ ref('dim_users') }}

),

set_totals as (

    select
        daily.segment_set,
        count(daily.share) as segments_with_share,
        sum(daily.share) as share
    from daily
    inner join catalogue
        on daily.segment_set = catalogue.segment_set and daily.segment = catalogue.segment
    where catalogue.overlap = 'exclusive' and catalogue.coverage = 'total'
    group by daily.segment_set

),

failures as (

    select
        'missing' as failed_check,
        catalogue.segment_set,
        catalogue.segment
    from catalogue
    left join daily
        on catalogue.segment_set = daily.segment_set and catalogue.segment = daily.segment
    where daily.segment is null

    union all

    select
        'not in the catalogue' as failed_check,
        daily.segment_set,
        daily.segment
    from daily
    left join catalogue
        on daily.segment_set = catalogue.segment_set and daily.segment = catalogue.segment
    where catalogue.segment is null

    union all

    select
        'other members than the membership' as failed_check,
        daily.segment_set,
        daily.segment
    from daily
    left join membership
        on daily.segment_set = membership.segment_set and daily.segment = membership.segment
    where daily.members <> coalesce(membership.members, 0)

    union all

    select
        'a share that is none' as failed_check,
        segment_set,
        segment
    from daily
    where
        share < 0
        or share > 1
        or (share is null and members > 0)
        or (share = 0 and members > 0)
        or (share > 0 and members = 0)

    union all

    select
        'shares do not add up to 1' as failed_check,
        segment_set,
        null as segment
    from set_totals
    where segments_with_share > 0 and abs(share - 1) > 1e-9

)

select * from failures
