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

events as (

    select * from {{ ref('int_events') }}

),

first_deliveries as (

    select * from {{ ref('int_first_deliveries') }}

),

event_taxonomy as (

    select * from {{ ref('stg_generic__event_taxonomy') }}

),

exchange_rates as (

    select * from {{ ref('stg_generic__exchange_rates') }}

),

totals as (

    select
        (select count(*) from received) as received_events,
        (select count(*) from events) as clean_events,
        -- One row an id and day: whatever is more than the ids is an id's second day.
        (select count(*) - count(distinct event_id) from first_deliveries) as reused_event_ids

),

unlisted as (

    select count(*) as events
    from received
    where event_name not in (select event_taxonomy.event_name from event_taxonomy)

),

unconverted as (

    select count(*) as events
    from received
    inner join event_taxonomy
        on received.event_name = event_taxonomy.event_name
    left join exchange_rates
        on
            received.currency = exchange_rates.currency
            and {{ local_date('received.event_at') }} = exchange_rates.rate_date
    where
        event_taxonomy.event_type in ('purchase', 'refund')
        and received.revenue is not null
        and received.currency <> '{{ var("currency") }}'
        and exchange_rates.rate is null

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
        'event_id used again on another day' as check_name,
        reused_event_ids as row_count
    from totals

    union all

    select
        'events' as input_table,
        'event_name not in the taxonomy' as check_name,
        events as row_count
    from unlisted

    union all

    select
        'events' as input_table,
        'purchase or refund without an exchange rate' as check_name,
        events as row_count
    from unconverted

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
