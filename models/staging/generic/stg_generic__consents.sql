-- What users said to each purpose for which their data may be used. Whatever is not a plain yes is none.
with raw_consents as (

    select * from {{ source('generic', 'consents') }}

),

final as (

    select
        user_id,
        lower(trim(purpose)) as purpose,
        coalesce(lower(trim(granted)) = 'true', false) as is_granted,
        {{ try_timestamp('raw_consents.at') }} as said_at
    from raw_consents
    where nullif(user_id, '') is not null and nullif(trim(purpose), '') is not null

)

select * from final
