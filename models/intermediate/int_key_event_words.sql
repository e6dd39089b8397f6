-- Which events are kept one by one (int_key_events), as words: types of the taxonomy, or names of events.
with retention_reports as (

    select * from {{ ref('stg_generic__retention_reports') }}

),

funnels as (

    select * from {{ ref('stg_generic__funnels') }}

),

words as (

    -- The moments of fct_key_moments.
    {% for event_type in ['sign_up', 'login', 'core_action', 'purchase'] -%}
    select '{{ event_type }}' as word
    union distinct
    {% endfor -%}
    select start_event as word from retention_reports
    union distinct
    select return_event as word from retention_reports
    union distinct
    select event as word from funnels

),

final as (

    select
        word,
        {{ is_event_type('word') }} as is_event_type
    from words
    -- Days know of it (int_person_days).
    where word <> 'activity'

)

select * from final
