-- The days of each person up to each as-of date, as they are known at its end, and the shortest window that holds each:
-- all that metrics may know of how long ago it was. A metric over another window adds it here.
with user_days as (

    select * from {{ ref('int_user_days') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

final as (

    select
        as_of_dates.as_of_date,
        user_days.person_key,
        -- Events without a device are on one of their own.
        coalesce(user_days.device_key, 0) as device,
        user_days.event_date,
        -- A window of N days is the N days that end on the as-of date, itself included.
        case
            when {{ days_between('user_days.event_date', 'as_of_dates.as_of_date') }} < 7 then 7
            when {{ days_between('user_days.event_date', 'as_of_dates.as_of_date') }} < 28 then 28
            when {{ days_between('user_days.event_date', 'as_of_dates.as_of_date') }} < 90 then 90
            when {{ days_between('user_days.event_date', 'as_of_dates.as_of_date') }} < 365 then 365
        end as window_days,
        -- Null where no week is counted: each edge that a day passes is one more state of its person to be computed.
        case
            when user_days.core_actions = 0 then null
            when {{ days_between('user_days.event_date', 'as_of_dates.as_of_date') }} < 7 then 1
            when {{ days_between('user_days.event_date', 'as_of_dates.as_of_date') }} < 14 then 2
            when {{ days_between('user_days.event_date', 'as_of_dates.as_of_date') }} < 21 then 3
            when {{ days_between('user_days.event_date', 'as_of_dates.as_of_date') }} < 28 then 4
        end as core_action_week,
        user_days.row_key,
        user_days.traits_key,
        user_days.first_event_at,
        user_days.last_event_at,
        user_days.events,
        user_days.sessions,
        user_days.session_seconds,
        user_days.carried_session_seconds,
        user_days.purchases,
        user_days.purchase_revenue,
        user_days.revenue,
        user_days.last_purchase_at,
        user_days.last_add_to_cart_at,
        user_days.last_checkout_start_at,
        user_days.support_contacts,
        user_days.support_views,
        user_days.errors,
        user_days.searches,
        user_days.core_starts,
        user_days.core_actions,
        user_days.messages_sent,
        user_days.messages_opened,
        user_days.referrals,
        user_days.last_sign_up_at,
        user_days.last_unsubscribe_at
    from user_days
    inner join as_of_dates
        on
            user_days.event_date <= as_of_dates.as_of_date
            and user_days.known_from <= as_of_dates.as_of_date
            and user_days.known_to > as_of_dates.as_of_date

)

select * from final
