-- Who is who: every pair of user_id and anonymous_id that was seen on an event, and since when.
-- The half hours know the pairs by their hashes; the texts behind the hashes are looked up, for the pairs that are new,
-- in the files that hold the day on which they were first seen. No half hour before the first changed day is read: a
-- pair that was first seen before it stays as it is, and any other has none there.
-- depends_on: {{ ref('stg_event_days') }}, {{ ref('int_changed_days') }}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    full_refresh=stored_models_full_refresh(),
    pre_hook="{% if is_incremental() %}{{ delete_stale_rows(from_first_day('first_seen_on', ref('int_changed_days'))
        ~ ' and ' ~ none_of(['pair_key', 'first_seen_at'], 'select pair_key, min(first_event_at) from '
        ~ ref('int_half_hours') ~ ' where ' ~ from_first_day('event_date', ref('int_changed_days'))
        ~ ' group by pair_key')) }}{% endif %}",
) }}

with pairs as (

    select
        pair_key,
        user_key,
        device_key,
        min(first_event_at) as first_seen_at,
        min(event_date) as first_seen_on
    from {{ ref('int_half_hours') }}
    {%- if is_incremental() %}
    where
        {{ from_first_day('event_date', ref('int_changed_days')) }}
        and {{ none_of('pair_key', 'select known.pair_key from ' ~ this ~ ' as known') }}
    {%- endif %}
    group by pair_key, user_key, device_key

),

{% if is_incremental() -%}
files as (

    select source_file
    from {{ ref('stg_event_days') }}
    where event_date in (select pairs.first_seen_on from pairs)

),

{% endif -%}
descriptors as (

    select
        user_id,
        anonymous_id
    from {{ ref('stg_descriptors') }}
    {%- if is_incremental() %}
    where
        source_file in (select files.source_file from files)
        {#- Where this is asked, stale rows may still be there: a pair that was seen earlier than they say is new, too. #}
        {{ and_on_stored_days(
            'stored_day',
            'select first_seen_on as event_date from (select pair_key, min(first_event_at) as first_seen_at, '
            ~ 'min(event_date) as first_seen_on from ' ~ ref('int_half_hours') ~ ' where '
            ~ from_first_day('event_date', ref('int_changed_days')) ~ ' group by pair_key) as seen where '
            ~ none_of(
                ['pair_key', 'first_seen_at'], 'select known.pair_key, known.first_seen_at from ' ~ this ~ ' as known'
            ),
        ) }}
    {%- endif %}

),

users as (

    select
        user_id,
        {{ hash64('user_id') }} as user_key
    from descriptors
    where user_id is not null
    group by user_id

),

devices as (

    select
        anonymous_id,
        {{ hash64('anonymous_id') }} as device_key
    from descriptors
    where anonymous_id is not null
    group by anonymous_id

),

final as (

    select
        pairs.pair_key,
        pairs.user_key,
        pairs.device_key,
        users.user_id,
        devices.anonymous_id,
        pairs.first_seen_at,
        pairs.first_seen_on
    from pairs
    left join users
        on pairs.user_key = users.user_key
    left join devices
        on pairs.device_key = devices.device_key

)

select * from final
