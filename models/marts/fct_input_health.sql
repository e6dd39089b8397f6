-- What became of the raw rows: one row an input table and check. Where it is not 0, look.
with collected as (

    {% for collector in var('collectors') -%}
    select * from {{ ref('stg_' ~ collector ~ '__input_counts') }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

received as (

    select * from {{ ref('stg_events') }}

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

received_events as (

    select count(*) as received
    from received

),

totals as (

    select
        received_events.received as received_events,
        counted.*
    from received_events
    cross join (
        select
            coalesce(sum(all_events), 0) as clean_events,
            coalesce(sum(unlisted_events), 0) as unlisted_events,
            coalesce(sum(unconverted_events), 0) as unconverted_events
        from half_hours
    ) as counted

),

reused as (

    select count(*) as events
    from first_deliveries
    where is_reused

),

checked as (

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
    from totals

    union all

    select
        'events' as input_table,
        'duplicates' as check_name,
        received_events - clean_events as row_count
    from totals

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
    from totals

    union all

    select
        'events' as input_table,
        'purchase or refund without an exchange rate' as check_name,
        unconverted_events as row_count
    from totals

),

final as (

    -- Several collectors send the same tables.
    select
        input_table,
        check_name,
        cast(sum(row_count) as bigint) as row_count
    from checked
    group by input_table, check_name

)

select * from final
