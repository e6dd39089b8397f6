-- Country and kind of device, last seen: an attribute set, one text for everybody in place of flags. Every value is
-- kept here; those with fewer members than vars.min_segment_size become `other` later, in fct_segment_membership.
with metrics as (

    select * from {{ ref('int_user_metrics') }}

),

final as (

    select
        as_of_date,
        user_id,

        -- Both in one value: what sells on a phone in one country need not on a phone in the next.
        coalesce(country, 'unknown') || ' / ' || coalesce(device_type, 'unknown') as segment
    from metrics

)

select * from final
