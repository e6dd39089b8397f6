-- Nothing that is known of a person at an as-of date happened after it.
with latest as (

    select
        'int_people' as model_name,
        people.as_of_date,
        min(identities.first_seen_on) as happened_on
    from {{ ref('int_people') }} as people
    inner join {{ ref('int_identities') }} as identities
        on
            {{ same('people.user_key', 'identities.user_key') }}
            and {{ same('people.device_key', 'identities.device_key') }}
    group by people.as_of_date, people.user_key, people.device_key

    union all

    select
        'int_sessions' as model_name,
        as_of_date,
        {{ local_date('ended_at') }} as happened_on
    from {{ ref('int_sessions') }}

    union all

    select
        'int_user_days' as model_name,
        as_of_date,
        event_date as happened_on
    from {{ ref('int_user_days') }}

    union all

    select
        'int_user_metrics' as model_name,
        as_of_date,
        -- Counted back from the as-of date: below zero lies after it.
        case
            when
                least(
                    days_since_first_active,
                    days_since_last_active,
                    coalesce(days_since_first_purchase, 0),
                    coalesce(days_since_last_purchase, 0),
                    coalesce(days_since_abandoned_cart, 0),
                    coalesce(days_since_abandoned_checkout, 0),
                    coalesce(days_since_last_nps, 0)
                ) >= 0
                then as_of_date
        end as happened_on
    from {{ ref('int_user_metrics') }}

),

final as (

    select * from latest
    where (happened_on <= as_of_date) is not true

)

select * from final
