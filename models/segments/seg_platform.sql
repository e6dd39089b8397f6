-- Which kind of device a user works on, by the active days of the last 90 on each kind. A day on both counts for both.
with metrics as (

    select * from {{ ref('int_user_metrics') }}

),

final as (

    select
        as_of_date,
        user_id,

        -- Four days to one is 80 %: what is built for the other kind only is as good as never seen.
        mobile_active_days_90d >= 4 * desktop_active_days_90d
        and mobile_active_days_90d > 0 as mobile_first,

        -- The same four to one, the other way round, so that neither kind is favoured.
        desktop_active_days_90d >= 4 * mobile_active_days_90d
        and desktop_active_days_90d > 0 as desktop_first,

        -- Each kind has more than a fifth of the device days: work begun on one is gone on with on the other.
        mobile_active_days_90d < 4 * desktop_active_days_90d
        and desktop_active_days_90d < 4 * mobile_active_days_90d as multi_platform,

        -- No day with a known kind of device: not active in 90 days, or on something that is neither (a server, a TV).
        mobile_active_days_90d = 0
        and desktop_active_days_90d = 0 as unknown
    from metrics

)

select * from final
