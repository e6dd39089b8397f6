-- Who entered and who left which segment on which day.
with history as (

    select * from {{ ref('fct_segment_membership_history') }}

),

-- One a user, day and set; two only where a definition was changed and its new segment backfilled over the old ones.
left_exclusive as (

    select
        valid_to,
        user_id,
        segment_set,
        min(segment) as segment
    from history
    where
        valid_to is not null
        and segment_set in {{ exclusive_set_names() }}
    group by valid_to, user_id, segment_set

),

final as (

    select
        entered.valid_from as as_of_date,
        entered.user_id,
        entered.segment_set,
        entered.segment,
        'entered' as change,
        left_exclusive.segment as from_segment
    from history as entered
    left join left_exclusive
        on
            entered.valid_from = left_exclusive.valid_to
            and entered.user_id = left_exclusive.user_id
            and entered.segment_set = left_exclusive.segment_set

    union all

    select
        valid_to as as_of_date,
        user_id,
        segment_set,
        segment,
        'left' as change,
        {{ text_literal(none) }} as from_segment
    from history
    where valid_to is not null

)

select * from final
