-- Where each aliased id leads, at the end of its chain of aliases, and from which as-of date to which: an alias counts
-- from the day on which it was known.
{{ config(materialized='table') }}

with recursive aliases as (

    select
        previous_id,
        user_id,
        aliased_at,
        -- An alias without a time was always there.
        coalesce({{ local_date('aliased_at') }}, cast('0001-01-01' as date)) as known_from
    from {{ ref('stg_generic__aliases') }}

),

ranked as (

    select
        previous_id,
        user_id,
        known_from,
        row_number() over (
            partition by previous_id, known_from order by aliased_at desc nulls last, user_id desc
        ) as newest_of_day
    from aliases

),

links as (

    -- An id that was aliased twice follows the later row, from that one's day on.
    select
        previous_id,
        user_id,
        known_from,
        lead(known_from, 1, {{ end_of_time() }}) over (partition by previous_id order by known_from) as known_to
    from ranked
    where newest_of_day = 1

),

chains as (

    select
        previous_id,
        user_id,
        known_from,
        known_to,
        1 as steps
    from links

    union all

    -- The bound ends a circle that slipped past the check of the input; no real chain is that long.
    select
        chains.previous_id,
        links.user_id,
        greatest(chains.known_from, links.known_from) as known_from,
        least(chains.known_to, links.known_to) as known_to,
        chains.steps + 1 as steps
    from chains
    inner join links
        on
            chains.user_id = links.previous_id
            and chains.known_from < links.known_to
            and chains.known_to > links.known_from
    where chains.steps < 100

),

went_on as (

    select
        previous_id,
        min(known_from) as known_from
    from links
    group by previous_id

),

final as (

    -- A chain ends where it has come to an id that leads nowhere yet.
    select
        chains.previous_id,
        chains.user_id,
        chains.known_from,
        least(chains.known_to, coalesce(went_on.known_from, {{ end_of_time() }})) as known_to
    from chains
    left join went_on
        on chains.user_id = went_on.previous_id
    where went_on.known_from is null or chains.known_from < went_on.known_from

)

select * from final
