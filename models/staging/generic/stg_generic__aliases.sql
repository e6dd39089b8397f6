-- Ids that became another id: everything of previous_id belongs to user_id from aliased_at on (null: always).
with raw_aliases as (

    select * from {{ source('generic', 'aliases') }}

),

final as (

    select
        previous_id,
        user_id,
        {{ try_timestamp('aliased_at') }} as aliased_at
    from raw_aliases
    where nullif(previous_id, '') is not null and nullif(user_id, '') is not null and previous_id <> user_id

)

select * from final
