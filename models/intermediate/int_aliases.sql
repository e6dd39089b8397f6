-- Where each aliased id leads, at the end of chains of aliases known by the as-of date.
-- A table: six models ask, and the recursion is to run once.
{{ config(materialized='table') }}

with recursive as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

aliases as (

    select * from {{ ref('stg_generic__aliases') }}

),

ranked as (

    -- An id that was aliased twice follows the later row; an alias without a time was always there.
    select
        as_of_dates.as_of_date,
        aliases.previous_id,
        aliases.user_id,
        row_number() over (
            partition by as_of_dates.as_of_date, aliases.previous_id
            order by aliases.aliased_at is null, aliases.aliased_at desc, aliases.user_id desc
        ) as newest
    from aliases
    inner join as_of_dates
        on aliases.aliased_at is null or {{ local_date('aliases.aliased_at') }} <= as_of_dates.as_of_date

),

in_force as (

    select
        as_of_date,
        previous_id,
        user_id
    from ranked
    where newest = 1

),

chains as (

    select
        as_of_date,
        previous_id,
        user_id,
        1 as steps
    from in_force

    union all

    -- The bound ends a circle that slipped past the check of the input; no real chain is that long.
    select
        chains.as_of_date,
        chains.previous_id,
        in_force.user_id,
        chains.steps + 1 as steps
    from chains
    inner join in_force
        on chains.as_of_date = in_force.as_of_date and chains.user_id = in_force.previous_id
    where chains.steps < 100

),

longest as (

    select
        as_of_date,
        previous_id,
        user_id,
        row_number() over (partition by as_of_date, previous_id order by steps desc) as nearest_to_end
    from chains

),

final as (

    select
        as_of_date,
        previous_id,
        user_id
    from longest
    where nearest_to_end = 1

)

select * from final
