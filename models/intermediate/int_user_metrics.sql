-- The vocabulary of the segments: one row for everybody with activity up to the as-of date. A window of N days is the
-- N days that end on the as-of date, itself included.
{{ config(materialized='table') }}

with states as (

    select * from {{ ref('int_person_states') }}

),

totals as (

    select * from {{ ref('int_user_totals') }}

),

last_nps as (

    select * from {{ ref('int_last_nps') }}

),

traits as (

    select * from {{ ref('int_user_traits') }}

),

interests as (

    select * from {{ ref('int_user_interests') }}

),

-- Scores among the buyers, by how many of them do strictly worse: equal values get equal scores, 5 is best.
buyers as (

    select
        states.as_of_date,
        states.person_key,
        count(*) over (partition by states.as_of_date) as buyers,
        rank() over (partition by states.as_of_date order by totals.last_purchase_date) - 1 as worse_by_recency,
        rank() over (partition by states.as_of_date order by totals.purchase_days_lifetime) - 1 as worse_by_frequency,
        rank() over (partition by states.as_of_date order by totals.revenue_lifetime) - 1 as worse_by_money
    from states
    inner join totals
        on states.person_key = totals.person_key and states.state_key = totals.state_key
    where totals.purchase_days_lifetime > 0

),

final as (

    select
        states.as_of_date,
        totals.user_id,

        {{ days_between('totals.first_active_date', 'states.as_of_date') }} as days_since_first_active,
        {{ days_between('totals.last_active_date', 'states.as_of_date') }} as days_since_last_active,
        {{ days_between('totals.second_last_active_date', 'totals.last_active_date') }}
            as days_between_last_two_active_days,
        totals.active_days_7d,
        totals.active_days_28d,
        totals.active_days_lifetime,
        totals.sessions_7d,
        totals.sessions_28d,
        totals.sessions_lifetime,
        totals.events_28d,
        totals.avg_session_minutes_28d,
        totals.mobile_active_days_90d,
        totals.desktop_active_days_90d,

        totals.purchase_days_28d,
        totals.purchase_days_365d,
        totals.purchase_days_lifetime,
        totals.purchases_lifetime,
        totals.revenue_28d,
        totals.revenue_365d,
        totals.revenue_lifetime,
        {{ days_between('totals.first_purchase_date', 'states.as_of_date') }} as days_since_first_purchase,
        {{ days_between('totals.last_purchase_date', 'states.as_of_date') }} as days_since_last_purchase,
        totals.avg_purchase_day_revenue_repeat,
        {{ days_between('totals.abandoned_cart_date', 'states.as_of_date') }} as days_since_abandoned_cart,
        {{ days_between('totals.abandoned_checkout_date', 'states.as_of_date') }} as days_since_abandoned_checkout,
        cast(1 + floor(5.0 * buyers.worse_by_recency / buyers.buyers) as integer) as r_score,
        cast(1 + floor(5.0 * buyers.worse_by_frequency / buyers.buyers) as integer) as f_score,
        cast(1 + floor(5.0 * buyers.worse_by_money / buyers.buyers) as integer) as m_score,

        totals.support_contacts_28d,
        totals.support_views_28d,
        totals.errors_28d,
        totals.searches_28d,
        last_nps.last_nps_score,
        last_nps.days_since_last_nps,

        totals.core_starts_28d,
        totals.core_action_days_28d,
        totals.core_action_weeks_28d,
        totals.core_action_days_lifetime,
        totals.referrals_lifetime,
        totals.messages_sent_7d,
        totals.messages_sent_28d,
        totals.messages_opened_28d,
        {{ days_between('totals.unsubscribed_date', 'states.as_of_date') }} as days_since_unsubscribed,
        {{ days_between('coalesce(traits.signed_up_date, totals.first_sign_up_date)', 'states.as_of_date') }}
            as days_since_signed_up,
        {{ month_of('coalesce(traits.signed_up_date, totals.first_sign_up_date)') }} as signed_up_month,

        interests.top_viewed_category_90d,
        interests.top_viewed_category_365d,
        interests.top_bought_category_365d,
        interests.top_search_term_90d,

        -- What the application says, else what the events showed.
        traits.plan,
        coalesce(traits.country, totals.seen_country) as country,
        coalesce(traits.language, totals.seen_language) as language,
        totals.seen_device_type as device_type,
        coalesce(traits.channel, totals.seen_channel) as channel
    from states
    inner join totals
        on states.person_key = totals.person_key and states.state_key = totals.state_key
    left join buyers
        on states.as_of_date = buyers.as_of_date and states.person_key = buyers.person_key
    left join last_nps
        on states.as_of_date = last_nps.as_of_date and states.person_key = last_nps.person_key
    left join traits
        on states.as_of_date = traits.as_of_date and states.person_key = traits.person_key
    left join interests
        on states.as_of_date = interests.as_of_date and states.person_key = interests.person_key
    where totals.active_days_lifetime > 0

)

select * from final
