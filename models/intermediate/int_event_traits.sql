-- The combinations of traits that events showed, with the hash by which the half hours know them: some hundred rows in
-- place of four texts in each of millions.
-- depends_on: {{ ref('int_changed_days') }}, {{ ref('int_changed_files') }}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    full_refresh=stored_models_full_refresh(),
    pre_hook="{% if is_incremental() %}{{ delete_stale_rows(none_of('traits_key', 'select traits_key from '
        ~ ref('int_half_hours'))) }}{% endif %}",
) }}

with combinations as (

    select distinct
        country,
        language,
        channel,
        device_type
    from {{ ref('stg_descriptors') }}
    {%- if is_incremental() %}
    where
        source_file in (select changed_files.source_file from {{ ref('int_changed_files') }} as changed_files)
        {{ and_on_stored_days('stored_day', 'select event_date from ' ~ ref('int_changed_days')) }}
    {%- endif %}

),

keyed as (

    select
        {{ hash64_of_all(['country', 'language', 'channel', 'device_type']) }} as traits_key,
        country,
        language,
        channel,
        device_type
    from combinations

),

final as (

    select * from keyed
    where traits_key in (select half_hours.traits_key from {{ ref('int_half_hours') }} as half_hours)
    {%- if is_incremental() %}
    and {{ none_of('traits_key', 'select known.traits_key from ' ~ this ~ ' as known') }}
    {%- endif %}

)

select * from final
