-- A stay lasts a day at least, and between two stays of a user in one segment there is a day outside of it.
with history as (

    select * from {{ ref('fct_segment_membership_history') }}

),

came_back as (

    select
        user_id,
        segment_set,
        segment
    from history
    group by user_id, segment_set, segment
    having count(*) > 1

),

followed as (

    select
        history.user_id,
        history.segment_set,
        history.segment,
        history.valid_from,
        history.valid_to,
        lead(history.valid_from) over (
            partition by history.user_id, history.segment_set, history.segment
            order by history.valid_from
        ) as next_valid_from
    from history
    inner join came_back
        on
            history.user_id = came_back.user_id
            and history.segment_set = came_back.segment_set
            and history.segment = came_back.segment

),

failures as (

    select
        'ends before it begins' as failed_check,
        segment_set,
        segment,
        valid_from,
        valid_to
    from history
    where valid_to <= valid_from

    union all

    select
        'goes on when the next one begins' as failed_check,
        segment_set,
        segment,
        valid_from,
        valid_to
    from followed
    where next_valid_from is not null and (valid_to is null or valid_to >= next_valid_from)

)

select * from failures
