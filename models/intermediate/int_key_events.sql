-- The single events whose moment or order matters later: those that int_key_event_words lists, and no others. One
-- narrow row an event, without ids in text and without properties: who it was is known by the hash of the pair of ids.
-- depends_on: {{ ref('int_changed_days') }}, {{ ref('int_changed_files') }}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    full_refresh=stored_models_full_refresh(),
    partition_by='event_date',
    pre_hook="{% if is_incremental() %}{{ delete_days('select event_date from '
        ~ ref('int_changed_days')) }}{% endif %}",
) }}

with types as (

    select word as event_type
    from {{ ref('int_key_event_words') }}
    where is_event_type

),

names as (

    select word as event_name
    from {{ ref('int_key_event_words') }}
    where not is_event_type

),

-- First those of changed days, so that no other file is read.
events as (

    select * from {{ ref('int_events') }}
    {%- if is_incremental() %}
    where
        event_date in (select changed_days.event_date from {{ ref('int_changed_days') }} as changed_days)
        and source_file in (select changed_files.source_file from {{ ref('int_changed_files') }} as changed_files)
        {{ and_on_stored_days('stored_day', 'select event_date from ' ~ ref('int_changed_days')) }}
    {%- endif %}

),

key_events as (

    select * from events
    where
        event_type in (select types.event_type from types)
        or event_name in (select names.event_name from names)

),

final as (

    select
        {{ hash64_of_all(['user_key', 'device_key']) }} as pair_key,
        event_date,
        event_at,
        event_name,
        event_type
    from key_events

)

select * from final
