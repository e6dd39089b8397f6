-- Answers of users to surveys: nps (0 to 10), csat, ces.
with raw_feedback as (

    select * from {{ source('generic', 'feedback') }}

),

final as (

    select
        feedback_id,
        user_id,
        lower(kind) as kind,
        {{ try_integer('score') }} as score,
        comment,
        {{ try_timestamp('submitted_at') }} as submitted_at
    from raw_feedback
    where nullif(feedback_id, '') is not null and nullif(user_id, '') is not null

)

select * from final
