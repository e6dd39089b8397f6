-- The days, weeks and months from the first in which anybody was active to those in which the latest as-of date lies:
-- periods without activity are among them.
with as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

active_days as (

    select active_on
    from {{ ref('int_active_days') }}

),

bounds as (

    select
        min(active_days.active_on) as first_day,
        (select max(as_of_dates.as_of_date) from as_of_dates) as last_day
    from active_days

),

days as (

    select {{ days_from_to('first_day', 'last_day') }} as calendar_day
    from bounds

),

periods as (
    {%- for period in ['day', 'week', 'month'] %}

    select
        '{{ period }}' as period,
        {{ first_day_of_period(period, 'calendar_day') }} as period_start,
        max(calendar_day) as last_day
    from days
    group by {{ first_day_of_period(period, 'calendar_day') }}
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}

),

final as (

    select
        period,
        period_start,
        -- Of a period that still runs, the as-of date.
        last_day,
        lag(period_start) over (partition by period order by period_start) as previous_start
    from periods

)

select * from final
