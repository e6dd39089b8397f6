-- Whom to leave in peace for now: a list to take away from every mailing. Overlapping: who gets too much often opens
-- none of it.
with metrics as (

    select * from {{ ref('int_user_metrics') }}

),

final as (

    select
        as_of_date,
        user_id,

        -- Five in seven days is one every working day. Seven days and not 28: a rest of a week is all that it takes.
        messages_sent_7d >= 5 as over_contacted,

        -- Three unopened ones are an answer, as unresponsive in the set prompt_response; an unsubscription is one in
        -- words, and holds however long ago it was, until the user signs up again.
        (messages_sent_28d >= 3 and messages_opened_28d = 0)
        or days_since_unsubscribed is not null as do_not_disturb
    from metrics

)

select * from final
