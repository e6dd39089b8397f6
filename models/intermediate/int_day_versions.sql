-- What the stored rows of a day would be made from now: one row a day and cause of a change. A stored day is built anew
-- when one of them differs from what it was built from (int_changed_days).
with event_days as (

    select * from {{ ref('stg_event_days') }}

),

exchange_rates as (

    select * from {{ ref('stg_generic__exchange_rates') }}

),

event_taxonomy as (

    select * from {{ ref('stg_generic__event_taxonomy') }}

),

key_event_words as (

    select * from {{ ref('int_key_event_words') }}

),

-- All days change with the meaning of the events, and with the project's own settings and models.
meaning as (

    select
        cast({{ sum_of_hashes(hash64_of_all(['event_name', 'event_type', 'is_activity'])) }} as {{ dbt.type_string() }})
            as version
    from event_taxonomy

),

-- ... and with the list of events that are kept one by one, which is never empty.
kept as (

    select cast({{ sum_of_hashes(hash64_of_all(['word'])) }} as {{ dbt.type_string() }}) as version
    from key_event_words

),

final as (

    select
        event_days.collector as cause,
        event_days.event_date,
        max(
            event_days.day_version || ' {{ version_of('int_user_days') }} ' || meaning.version
            || ' {{ version_of('int_key_events') }} ' || kept.version || ' {{ version_of('int_interest_days') }}'
        ) as version
    from event_days
    cross join meaning
    cross join kept
    group by event_days.collector, event_days.event_date

    union all

    select
        'exchange_rates' as cause,
        rate_date as event_date,
        cast({{ sum_of_hashes(hash64_of_all(['currency', 'rate'])) }} as {{ dbt.type_string() }}) as version
    from exchange_rates
    group by rate_date

)

select * from final
