-- No raw event is lost: raw rows = clean + rejected + duplicates, each counted here in its own way, and
-- fct_input_health says the same. Raw rows are counted in the source: what base_* loses would be missed behind it.
with raw_rows as (

    {% for collector in var('collectors') -%}
    select count(*) as row_count from {{ source(collector, 'events') }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

rejected as (

    {% for collector in var('collectors') -%}
    select count(*) as row_count from {{ ref('stg_' ~ collector ~ '__rejected_events') }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

deliveries as (

    -- The definition itself, without the hashes by which int_events finds them.
    select count(*) as row_count
    from {{ ref('stg_events') }}
    group by event_id, {{ local_date('event_at') }}

),

counted as (

    select
        (select sum(row_count) from raw_rows) as raw_rows,
        (select sum(row_count) from rejected) as rejected,
        (select count(*) from {{ ref('int_events') }}) as clean,
        (select coalesce(sum(row_count - 1), 0) from deliveries) as duplicates

),

reported as (

    select
        sum(case when check_name = 'raw rows' then row_count end) as raw_rows,
        sum(case when check_name like 'rejected: %' then row_count else 0 end) as rejected,
        sum(case when check_name = 'clean' then row_count end) as clean,
        sum(case when check_name = 'duplicates' then row_count end) as duplicates
    from {{ ref('fct_input_health') }}
    where input_table = 'events'

)

select
    counted.*,
    reported.raw_rows as reported_raw_rows,
    reported.rejected as reported_rejected,
    reported.clean as reported_clean,
    reported.duplicates as reported_duplicates
from counted
cross join reported
-- A null on either side is a difference too.
where
    coalesce(counted.raw_rows, -1) <> counted.clean + counted.rejected + counted.duplicates
    or coalesce(reported.raw_rows, -1) <> counted.raw_rows
    or coalesce(reported.rejected, -1) <> counted.rejected
    or coalesce(reported.clean, -1) <> counted.clean
    or coalesce(reported.duplicates, -1) <> counted.duplicates
