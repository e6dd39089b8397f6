-- How many rows each file of events has, and how many of them, or of their values, cannot be used. A file is counted
-- when it arrives, and again when it is not what it was when it was counted: every run compares, so one that died is
-- made up for by the next.
-- A value does not parse when something was sent and nothing came of it.
-- depends_on: {{ ref('stg_generic__event_days') }}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{% if is_incremental() %}{{ delete_stale_rows(none_of(['source_file', 'file_version'], 'select '
        ~ 'source_file, file_version from ' ~ ref('stg_generic__event_files'))) }}{% endif %}",
) }}

{#- The days of files that are new or not what they were, as Spark needs them to leave out the others. -#}
{%- if is_incremental() %}
{%- set days = 'select days.event_date from ' ~ ref('stg_generic__event_days') ~ ' as days inner join '
    ~ ref('stg_generic__event_files') ~ ' as files on days.source_file = files.source_file where ' ~ none_of(
        ['files.source_file', 'files.file_version'],
        'select known.source_file, known.file_version from ' ~ this ~ ' as known'
    ) %}
{%- endif %}
with files as (

    select
        source_file,
        file_version
    from {{ ref('stg_generic__event_files') }}
    {%- if is_incremental() %}
    where {{ none_of('source_file', 'select known.source_file from ' ~ this ~ ' as known') }}
    {%- endif %}

),

-- All rows are counted where they come in: one that staging loses shows as a difference.
raw_rows as (

    select
        source_file,
        count(*) as raw_rows
    from {{ source('generic', 'events') }}
    {%- if is_incremental() %}
    where
        source_file in (select files.source_file from files)
        {{ and_on_stored_days(stored_day('event_at'), days, or_none=true) }}
    {%- endif %}
    group by source_file

),

rows_by_reason as (

    select
        source_file,
        rejection_reason,
        count(*) as rejected_rows,
        count(case when quantity is null and cast(quantity_as_sent as {{ dbt.type_string() }}) <> '' then 1 end)
            as odd_quantities,
        count(case when revenue is null and cast(revenue_as_sent as {{ dbt.type_string() }}) <> '' then 1 end)
            as odd_revenues,
        count(case when received_at is null and cast(received_at_as_sent as {{ dbt.type_string() }}) <> '' then 1 end)
            as odd_receipts
    from {{ ref('base_generic__events') }}
    {%- if is_incremental() %}
    where
        source_file in (select files.source_file from files)
        {{ and_on_stored_days('stored_day', days, or_none=true) }}
    {%- endif %}
    group by source_file, rejection_reason

),

counted as (

    -- A file without a row was counted, too.
    select
        source_file,
        'raw rows' as check_name,
        0 as row_count
    from files

    union all

    select
        source_file,
        'raw rows' as check_name,
        raw_rows as row_count
    from raw_rows

    union all

    select
        source_file,
        'rejected: ' || rejection_reason as check_name,
        rejected_rows as row_count
    from rows_by_reason
    where rejection_reason is not null
    {#- Of a rejected row no value is used, so none is missed. #}
    {%- for check_name, column in [
        ('quantity does not parse', 'odd_quantities'),
        ('revenue does not parse', 'odd_revenues'),
        ('received_at does not parse', 'odd_receipts'),
    ] %}

    union all

    select
        source_file,
        '{{ check_name }}' as check_name,
        {{ column }} as row_count
    from rows_by_reason
    where rejection_reason is null
    {%- endfor %}

),

totals as (

    select
        source_file,
        check_name,
        cast(sum(row_count) as bigint) as row_count
    from counted
    group by source_file, check_name

),

final as (

    select
        totals.source_file,
        files.file_version,
        totals.check_name,
        totals.row_count
    from totals
    left join files
        on totals.source_file = files.source_file

)

select * from final
