-- Nothing that is known of a person at an as-of date happened after it.
with latest as (

    -- Two that are not made for an as-of date, but say from which on they hold.
    select
        'int_people' as model_name,
        people.known_from as as_of_date,
        identities.first_seen_on as happened_on
    from {{ ref('int_people') }} as people
    inner join {{ ref('int_identities') }} as identities
        on people.pair_key = identities.pair_key

    union all

    select
        'int_sessions' as model_name,
        as_of_date,
        {{ local_date('ended_at') }} as happened_on
    from {{ ref('int_sessions') }}

    union all

    -- A row is read at as-of dates from its day on: one that ends before it is never read.
    select
        'int_user_days' as model_name,
        {{ end_of_time() }} as as_of_date,
        case when event_date < known_to and known_from < known_to then event_date end as happened_on
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
