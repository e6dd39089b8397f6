-- The last NPS answer of each person by the as-of date.
with as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

aliases as (

    select * from {{ ref('int_aliases') }}

),

feedback as (

    select
        *,
        {{ local_date('submitted_at') }} as submitted_on
    from {{ ref('stg_generic__feedback') }}

),

ranked as (

    select
        as_of_dates.as_of_date,
        {{ hash64('coalesce(aliases.user_id, feedback.user_id)') }} as person_key,
        feedback.score,
        {{ days_between('feedback.submitted_on', 'as_of_dates.as_of_date') }} as days_ago,
        row_number() over (
            partition by as_of_dates.as_of_date, coalesce(aliases.user_id, feedback.user_id)
            order by feedback.submitted_at desc, feedback.feedback_id desc, feedback.score desc
        ) as newest
    from feedback
    inner join as_of_dates
        on feedback.submitted_on <= as_of_dates.as_of_date
    left join aliases
        on
            feedback.user_id = aliases.previous_id
            and as_of_dates.as_of_date >= aliases.known_from
            and as_of_dates.as_of_date < aliases.known_to
    where feedback.kind = 'nps' and feedback.score between 0 and 10

),

final as (

    select
        as_of_date,
        person_key,
        score as last_nps_score,
        days_ago as days_since_last_nps
    from ranked
    where newest = 1

)

select * from final
