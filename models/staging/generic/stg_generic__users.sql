-- What the application knows of its users; several rows a user are its history.
with raw_users as (

    select * from {{ source('generic', 'users') }}

),

final as (

    select
        user_id,
        {{ try_timestamp('updated_at') }} as updated_at,
        {{ try_timestamp('signed_up_at') }} as signed_up_at,
        nullif(plan, '') as plan,
        upper(nullif(country, '')) as country,
        lower(nullif(language, '')) as language,
        nullif(channel, '') as channel,
        {{ try_integer('birth_year') }} as birth_year
    from raw_users
    where nullif(user_id, '') is not null

)

select * from final
