-- What users said to each purpose for which their data may be used. Whatever is not a plain yes is none.
with raw_consents as (

    select * from {{ source('generic', 'consents') }}

),

final as (

    select
        -- With the table's name: alone, `at` is a word of SQL's own.
        raw_consents.user_id,
        lower(trim(raw_consents.purpose)) as purpose,
        coalesce(lower(trim(raw_consents.granted)) = 'true', false) as is_granted,
        {{ try_timestamp('raw_consents.at') }} as said_at
    from raw_consents
    where nullif(raw_consents.user_id, '') is not null and nullif(trim(raw_consents.purpose), '') is not null

)

select * from final
