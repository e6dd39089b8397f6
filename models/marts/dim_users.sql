-- Everybody on the latest as-of date: traits, the main metrics, and the segment in each exclusive set.
{{ config(pre_hook="{{ add_exclusive_set_columns(model) }}") }}
{%- set sets = exclusive_flag_sets() %}

with latest as (

    select max(as_of_date) as as_of_date
    from {{ ref('int_as_of_dates') }}

),

metrics as (

    select every_date.*
    from {{ ref('int_user_metrics') }} as every_date
    where every_date.as_of_date = (select latest.as_of_date from latest)

),

segments as (

    select * from {{ ref('int_user_segments') }}

),

final as (

    select
        metrics.user_id,
        metrics.as_of_date,
        metrics.user_id not like 'anon:%' as is_identified,

        metrics.plan,
        metrics.country,
        metrics.language,
        metrics.device_type,
        metrics.channel,

        -- At most one of a set is true: its own test says so.
        {%- for set in sets %}

        case
            {%- for segment in set.segments %}
            when {{ is_in_segment(set, segment, 'segments') }} then '{{ segment.name }}'
            {%- endfor %}
        end as {{ set.name }},
        {%- endfor %}

        metrics.days_since_first_active,
        metrics.days_since_last_active,
        metrics.active_days_28d,
        metrics.active_days_lifetime,
        metrics.sessions_28d,
        metrics.sessions_lifetime,
        metrics.avg_session_minutes_28d,
        metrics.purchase_days_28d,
        metrics.purchase_days_lifetime,
        metrics.days_since_last_purchase,
        metrics.revenue_28d,
        metrics.revenue_365d,
        metrics.revenue_lifetime,
        metrics.last_nps_score
    from metrics
    inner join segments
        on metrics.as_of_date = segments.as_of_date and metrics.user_id = segments.user_id

)

select * from final
