-- The half hours up to the as-of date, each with the person whose it is on that day.
with half_hours as (

    select * from {{ ref('int_half_hours') }}

),

people as (

    select
        as_of_dates.as_of_date,
        people.pair_key,
        people.person_key
    from {{ ref('int_people') }} as people
    inner join {{ ref('int_as_of_dates') }} as as_of_dates
        on people.known_from <= as_of_dates.as_of_date and people.known_to > as_of_dates.as_of_date

),

final as (

    select
        people.as_of_date,
        people.person_key,
        half_hours.device_key,
        half_hours.event_date,
        {{ days_between('half_hours.event_date', 'people.as_of_date') }} as days_ago,
        half_hours.traits_key,
        half_hours.first_event_at,
        half_hours.last_event_at,
        half_hours.first_activity_at,
        half_hours.last_activity_at,
        half_hours.events,
        half_hours.purchases,
        half_hours.purchase_revenue,
        half_hours.revenue,
        half_hours.last_purchase_at,
        half_hours.last_add_to_cart_at,
        half_hours.last_checkout_start_at,
        half_hours.support_contacts,
        half_hours.support_views,
        half_hours.errors,
        half_hours.searches,
        half_hours.core_starts,
        half_hours.core_actions,
        half_hours.messages_sent,
        half_hours.messages_opened,
        half_hours.referrals,
        half_hours.last_sign_up_at,
        half_hours.last_unsubscribe_at
    from half_hours
    inner join people
        on half_hours.pair_key = people.pair_key and half_hours.event_date <= people.as_of_date

)

select * from final
