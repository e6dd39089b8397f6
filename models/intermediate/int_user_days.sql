-- What each person did on each day up to the as-of date.
with half_hours as (

    select * from {{ ref('int_person_half_hours') }}

),

event_traits as (

    select * from {{ ref('int_event_traits') }}

),

final as (

    select
        half_hours.as_of_date,
        half_hours.person_key,
        half_hours.event_date,
        max(half_hours.days_ago) as days_ago,
        sum(half_hours.events) as events,
        max(case when half_hours.events > 0 and event_traits.device_type in ('mobile', 'tablet') then 1 else 0 end)
            as is_mobile_active,
        max(case when half_hours.events > 0 and event_traits.device_type = 'desktop' then 1 else 0 end)
            as is_desktop_active,
        sum(half_hours.purchases) as purchases,
        sum(half_hours.purchase_revenue) as purchase_revenue,
        sum(half_hours.revenue) as revenue,
        max(half_hours.last_purchase_at) as last_purchase_at,
        max(half_hours.last_add_to_cart_at) as last_add_to_cart_at,
        max(half_hours.last_checkout_start_at) as last_checkout_start_at,
        sum(half_hours.support_contacts) as support_contacts,
        sum(half_hours.support_views) as support_views,
        sum(half_hours.errors) as errors,
        sum(half_hours.searches) as searches
    from half_hours
    inner join event_traits
        on half_hours.traits_key = event_traits.traits_key
    group by half_hours.as_of_date, half_hours.person_key, half_hours.event_date

)

select * from final
