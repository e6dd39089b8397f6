-- What each person did on each day up to the as-of date.
with half_hours as (

    select * from {{ ref('int_person_half_hours') }}

),

final as (

    select
        as_of_date,
        person_key,
        event_date,
        max(days_ago) as days_ago,
        sum(events) as events,
        max(case when events > 0 and device_type in ('mobile', 'tablet') then 1 else 0 end) as is_mobile_active,
        max(case when events > 0 and device_type = 'desktop' then 1 else 0 end) as is_desktop_active,
        sum(purchases) as purchases,
        sum(purchase_revenue) as purchase_revenue,
        sum(revenue) as revenue,
        max(last_purchase_at) as last_purchase_at,
        max(last_add_to_cart_at) as last_add_to_cart_at,
        max(last_checkout_start_at) as last_checkout_start_at,
        sum(support_contacts) as support_contacts,
        sum(support_views) as support_views,
        sum(errors) as errors,
        sum(searches) as searches
    from half_hours
    group by as_of_date, person_key, event_date

)

select * from final
