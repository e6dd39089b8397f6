-- How long a user stays once there: the average session of the last 28 days. How often they come is in engagement.
with metrics as (

    select * from {{ ref('int_user_metrics') }}

),

final as (

    select
        as_of_date,
        user_id,

        -- Minutes are of the sessions that started in these days: one that only ran on into them is no visit of them.
        sessions_28d = 0 as no_sessions,

        -- Under five minutes is a look, or a single event (0 minutes): one thing was found or done, or nothing was.
        sessions_28d >= 1
        and avg_session_minutes_28d < 5 as short,

        -- Five minutes are time for one thing from beginning to end; from there to half an hour a visit is usual.
        avg_session_minutes_28d >= 5
        and avg_session_minutes_28d < 30 as medium,

        -- Half an hour without a pause as long as that: they work in the product, or cannot find their way out of it.
        avg_session_minutes_28d >= 30 as long
    from metrics

)

select * from final
