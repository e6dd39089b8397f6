-- The country a user is in. An attribute set. geography_device has it together with the device.
with metrics as (

    select * from {{ ref('int_user_metrics') }}

),

final as (

    select
        as_of_date,
        user_id,

        -- Not known is a group of its own: spread over the countries, it would follow the largest one.
        coalesce(country, 'unknown') as segment
    from metrics

)

select * from final
