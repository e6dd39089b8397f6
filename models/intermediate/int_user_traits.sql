-- What the application says of each person (users), as it is in force at the end of the as-of date.
with as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

aliases as (

    select * from {{ ref('int_aliases') }}

),

users as (

    select * from {{ ref('stg_generic__users') }}

),

ranked_users as (

    select
        as_of_dates.as_of_date,
        {{ hash64('coalesce(aliases.user_id, users.user_id)') }} as person_key,
        users.plan,
        users.signed_up_at,
        {{ local_date('users.signed_up_at') }} as signed_up_date,
        users.country,
        users.language,
        users.channel,
        row_number() over (
            partition by as_of_dates.as_of_date, coalesce(aliases.user_id, users.user_id)
            order by
                users.updated_at is null, users.updated_at desc, users.user_id desc, users.plan desc nulls last,
                users.country desc nulls last, users.language desc nulls last, users.channel desc nulls last,
                users.signed_up_at desc nulls last
        ) as newest
    from users
    inner join as_of_dates
        on users.updated_at is null or {{ local_date('users.updated_at') }} <= as_of_dates.as_of_date
    left join aliases
        on
            users.user_id = aliases.previous_id
            and as_of_dates.as_of_date >= aliases.known_from
            and as_of_dates.as_of_date < aliases.known_to

),

final as (

    select
        as_of_date,
        person_key,
        plan,
        -- A record may tell of a day that is still to come.
        case when signed_up_date <= as_of_date then signed_up_date end as signed_up_date,
        case when signed_up_date <= as_of_date then signed_up_at end as signed_up_at,
        country,
        language,
        channel
    from ranked_users
    where newest = 1

)

select * from final
