-- What became of the raw rows, and whether they still come as they used to: one row an input table and check.
{%- set bounds = input_health_bounds() %}
{%- set double = type_double() %}
with collected as (

    {% for collector in var('collectors') -%}
    select * from {{ ref('stg_' ~ collector ~ '__input_counts') }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

event_columns as (

    select * from {{ ref('stg_generic__event_columns') }}

),

retention as (

    select coalesce(max(first_open_day), cast('0001-01-01' as date)) as first_open_day
    from {{ source('runs', 'retention') }}

),

half_hours as (

    -- Of the days whose rows there still are.
    select counted.*
    from {{ ref('int_half_hours') }} as counted
    cross join retention
    where counted.event_date >= retention.first_open_day

),

first_deliveries as (

    select * from {{ ref('int_first_deliveries') }}

),

received as (

    select
        coalesce(sum(case when check_name = 'raw rows' then row_count end), 0)
        - coalesce(sum(case when check_name like 'rejected: %' then row_count end), 0) as received_events
    from collected
    where input_table = 'events'

),

event_days as (

    select
        event_date,
        sum(all_events) as events,
        sum(unlisted_events) as unlisted_events,
        sum(unconverted_events) as unconverted_events,
        -- A clock that is wrong must not make old events new ones, nor hide that none come.
        max(case when last_received_at <= {{ run_started_at_utc() }} then last_received_at end) as received_at
    from half_hours
    group by event_date

),

clean as (

    select
        coalesce(sum(events), 0) as clean_events,
        coalesce(sum(unlisted_events), 0) as unlisted_events,
        coalesce(sum(unconverted_events), 0) as unconverted_events,
        {{ seconds_between('max(received_at)', run_started_at_utc()) }} / 3600 as hours_since_last_event,
        min(event_date) as first_day,
        -- The day before the newest. A clock that runs ahead dates an event tomorrow: on that day nothing was received.
        least(
            max(case when event_date <= {{ local_date(run_started_at_utc()) }} then event_date end),
            max({{ local_date('received_at') }})
        ) - 1 as complete_day
    from event_days

),

reused as (

    select count(*) as events
    from first_deliveries
    where is_reused

),

-- The same weekday in the four weeks before, as far back as there are events; a day without any has 0.
offsets as (
    {%- for days_before in [7, 14, 21, 28] %}

    select {{ days_before }} as days_before
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}

),

usual_days as (

    select
        count(*) as number_of_days,
        percentile_cont(0.5) within group (order by coalesce(event_days.events, 0)) as events
    from clean
    inner join offsets
        on clean.complete_day - offsets.days_before >= clean.first_day
    left join event_days
        on clean.complete_day - offsets.days_before = event_days.event_date

),

volume as (

    select
        case when clean.complete_day >= clean.first_day then coalesce(event_days.events, 0) end as events,
        -- One day is no custom.
        case when usual_days.number_of_days >= 2 then usual_days.events end as usual_events
    from clean
    cross join usual_days
    left join event_days
        on clean.complete_day = event_days.event_date

),

-- What the files of the newest load hold in each column, and all before them.
newest_load as (

    select max(load_number) as load_number
    from event_columns

),

column_values as (

    select
        event_columns.column_name,
        sum(case when event_columns.load_number = newest_load.load_number then event_columns.row_count else 0 end)
            as new_rows,
        sum(case when event_columns.load_number = newest_load.load_number then event_columns.filled_rows else 0 end)
            as new_values,
        sum(case when event_columns.load_number < newest_load.load_number then event_columns.row_count else 0 end)
            as old_rows,
        sum(case when event_columns.load_number < newest_load.load_number then event_columns.filled_rows else 0 end)
            as old_values
    from event_columns
    cross join newest_load
    group by event_columns.column_name

),

expected_values as (

    -- Null where nothing came before.
    select
        column_name,
        new_values,
        cast(old_values as {{ double }}) * new_rows / nullif(old_rows, 0) as expected_values
    from column_values

),

counted as (

    select
        input_table,
        check_name,
        row_count
    from collected

    union all

    select
        'events' as input_table,
        'clean' as check_name,
        clean_events as row_count
    from clean

    union all

    select
        'events' as input_table,
        'duplicates' as check_name,
        received.received_events - clean.clean_events as row_count
    from received
    cross join clean

    union all

    select
        'events' as input_table,
        'event_id used again on the next day' as check_name,
        events as row_count
    from reused

    union all

    select
        'events' as input_table,
        'event_name not in the taxonomy' as check_name,
        unlisted_events as row_count
    from clean

    union all

    select
        'events' as input_table,
        'purchase or refund without an exchange rate' as check_name,
        unconverted_events as row_count
    from clean

),

counts as (

    -- Several collectors send the same tables.
    select
        input_table,
        check_name,
        cast(sum(row_count) as bigint) as row_count
    from counted
    group by input_table, check_name

),

checks as (

    select
        input_table,
        check_name,
        row_count,
        case
            when check_name = 'event_name not in the taxonomy' and row_count > 0
                then '{{ bounds.beyond["event_name not in the taxonomy"] }}'
            else 'ok'
        end as status,
        row_count as value,
        -- The first of the selects gives the columns their types on some engines.
        cast(null as {{ double }}) as previous_value,
        case when check_name = 'event_name not in the taxonomy' then 0 end as limit_value
    from counts

    union all

    select
        'events' as input_table,
        'freshness' as check_name,
        null as row_count,
        {%- if bounds.max_hours_since_last_event is none %}
        'ok' as status,
        null as value,
        {%- else %}
        case
            when hours_since_last_event <= {{ bounds.max_hours_since_last_event }} then 'ok'
            -- Also where there never was an event.
            else '{{ bounds.beyond.freshness }}'
        end as status,
        hours_since_last_event as value,
        {%- endif %}
        null as previous_value,
        {{ 'null' if bounds.max_hours_since_last_event is none else bounds.max_hours_since_last_event }} as limit_value
    from clean

    union all

    select
        'events' as input_table,
        'volume' as check_name,
        null as row_count,
        case
            when events > {{ bounds.max_volume_change }} * usual_events then '{{ bounds.beyond.volume }}'
            when usual_events > {{ bounds.max_volume_change }} * events then '{{ bounds.beyond.volume }}'
            else 'ok'
        end as status,
        events as value,
        usual_events as previous_value,
        {{ bounds.max_volume_change }} as limit_value
    from volume

    union all

    select
        'events' as input_table,
        'column without values: ' || column_name as check_name,
        null as row_count,
        case
            when new_values = 0 and expected_values >= {{ bounds.min_expected_values }} and expected_values > 0
                then '{{ bounds.beyond["column without values"] }}'
            else 'ok'
        end as status,
        new_values as value,
        expected_values as previous_value,
        {{ bounds.min_expected_values }} as limit_value
    from expected_values

),

final as (

    select
        input_table,
        check_name,
        cast(row_count as bigint) as row_count,
        status,
        cast(value as {{ double }}) as value,
        cast(previous_value as {{ double }}) as previous_value,
        cast(limit_value as {{ double }}) as limit_value
    from checks

)

select * from final
