-- The kind of device that a user was last seen on. An attribute set. What they mostly work on is in platform.
with metrics as (

    select * from {{ ref('int_user_metrics') }}

),

final as (

    select
        as_of_date,
        user_id,

        -- Events of a server have no device, so who bought by them alone has none: that is no fault of a device.
        coalesce(device_type, 'unknown') as segment
    from metrics

)

select * from final
