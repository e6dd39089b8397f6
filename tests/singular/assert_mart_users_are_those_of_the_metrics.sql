-- dim_users has everybody of int_user_metrics at the latest as-of date and nobody else, and whoever is in a segment is
-- one of them, at that date.
with latest as (

    select max(as_of_date) as as_of_date
    from {{ ref('int_as_of_dates') }}

),

metrics as (

    select
        every_date.as_of_date,
        every_date.user_id
    from {{ ref('int_user_metrics') }} as every_date
    where every_date.as_of_date = (select latest.as_of_date from latest)

),

users as (

    select
        as_of_date,
        user_id
    from {{ ref('dim_users') }}

),

members as (

    select distinct
        as_of_date,
        user_id
    from {{ ref('fct_segment_membership') }}

),

failures as (

    select
        'missing in dim_users' as failed_check,
        metrics.as_of_date,
        metrics.user_id
    from metrics
    left join users
        on metrics.as_of_date = users.as_of_date and metrics.user_id = users.user_id
    where users.user_id is null

    union all

    select
        'in dim_users, but without metrics' as failed_check,
        users.as_of_date,
        users.user_id
    from users
    left join metrics
        on users.as_of_date = metrics.as_of_date and users.user_id = metrics.user_id
    where metrics.user_id is null

    union all

    select
        'in a segment, but without metrics' as failed_check,
        members.as_of_date,
        members.user_id
    from members
    left join metrics
        on members.as_of_date = metrics.as_of_date and members.user_id = metrics.user_id
    where metrics.user_id is null

)

select * from failures
