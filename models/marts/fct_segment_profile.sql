-- How each segment differs from everybody: the same five metrics for its members and for all users, and their ratio.
{%- set metrics = {
    'avg_session_minutes_28d': 'coalesce(session_minutes / nullif(sessions, 0), 0)',
    'sessions_per_user_28d': 'sessions / people',
    'active_days_per_user_28d': 'active_days / people',
    'conversion_rate_28d': 'buyers / people',
    'revenue_per_user_28d': 'revenue / people',
} %}
with latest as (

    select max(as_of_date) as as_of_date
    from {{ ref('int_as_of_dates') }}

),

metrics as (

    select
        every_date.as_of_date,
        every_date.user_id,
        every_date.sessions_28d,
        every_date.active_days_28d,
        every_date.revenue_28d,
        case when every_date.purchase_days_28d > 0 then 1 else 0 end as is_buyer_28d,
        -- A decimal, as money is: the sum is then the same in whatever order the rows come.
        cast(every_date.avg_session_minutes_28d * every_date.sessions_28d as decimal(18, 6)) as session_minutes_28d
    from {{ ref('int_user_metrics') }} as every_date
    where every_date.as_of_date = (select latest.as_of_date from latest)

),

-- Added up by combination of segments first: some thousand rows in place of one a user and segment.
combinations as (

    select
        metrics.as_of_date,
        user_segments.combination_key,
        count(*) as people,
        sum(metrics.sessions_28d) as sessions,
        sum(metrics.active_days_28d) as active_days,
        sum(metrics.is_buyer_28d) as buyers,
        sum(metrics.revenue_28d) as revenue,
        sum(metrics.session_minutes_28d) as session_minutes
    from metrics
    inner join {{ ref('int_user_segments') }} as user_segments
        on metrics.as_of_date = user_segments.as_of_date and metrics.user_id = user_segments.user_id
    group by metrics.as_of_date, user_segments.combination_key

),

members as {{ once() }} (

    select
        segments.segment_set,
        segments.segment,
        combinations.*
    from combinations
    inner join {{ ref('int_combination_segments') }} as segments
        on
            combinations.as_of_date = segments.as_of_date
            and combinations.combination_key = segments.combination_key

    union all

    select
        'all' as segment_set,
        'all' as segment,
        combinations.*
    from combinations

),

totals as {{ once() }} (

    select
        as_of_date,
        segment_set,
        segment,
        cast(sum(people) as {{ type_double() }}) as people,
        cast(sum(sessions) as {{ type_double() }}) as sessions,
        cast(sum(active_days) as {{ type_double() }}) as active_days,
        cast(sum(buyers) as {{ type_double() }}) as buyers,
        cast(sum(revenue) as {{ type_double() }}) as revenue,
        cast(sum(session_minutes) as {{ type_double() }}) as session_minutes
    from members
    group by as_of_date, segment_set, segment

),

measured as {{ once() }} (
    {%- for metric, expression in metrics.items() %}

    select
        as_of_date,
        segment_set,
        segment,
        '{{ metric }}' as metric,
        {{ expression }} as metric_value
    from totals
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}

),

final as (

    select
        measured.as_of_date,
        measured.segment_set,
        measured.segment,
        measured.metric,
        measured.metric_value as segment_value,
        overall.metric_value as overall_value,
        measured.metric_value / nullif(overall.metric_value, 0) * 100 as index
    from measured
    inner join measured as overall
        on measured.as_of_date = overall.as_of_date and measured.metric = overall.metric
    where measured.segment_set <> 'all' and overall.segment_set = 'all'

)

select * from final
