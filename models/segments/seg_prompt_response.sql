-- Whether messages reach a user: how many were sent and opened in the last 28 days. Each is counted on its own day, so
-- an opened message may have been sent before, and there may be more of them than were sent.
with metrics as (

    select * from {{ ref('int_user_metrics') }}

),

final as (

    select
        as_of_date,
        user_id,

        -- Nothing was sent, so nothing is known: an old message opened late does not tell how the next one would fare.
        messages_sent_28d = 0 as uncontacted,

        -- Every second one or more. Twice the opened ones in place of a share: no division, and no rounding at a half.
        messages_sent_28d >= 1
        and 2 * messages_opened_28d >= messages_sent_28d as responsive,

        -- One unopened message is chance and two are bad luck; the third one makes it an answer.
        messages_sent_28d >= 3
        and messages_opened_28d = 0 as unresponsive,

        -- Too few to take silence for an answer, or some opened but less than every second one: neither yes nor no.
        (messages_sent_28d between 1 and 2 and messages_opened_28d = 0)
        or (messages_opened_28d >= 1 and messages_sent_28d > 2 * messages_opened_28d) as lukewarm
    from metrics

)

select * from final
