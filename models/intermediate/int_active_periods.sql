-- The days, weeks and months in which each person was active, as they are known at the latest as-of date, and which
-- came before and after. A table: days are read once for all marts about growth and habits.
{{ config(materialized='table') }}

with as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

active_days as (

    -- A person's day may have several rows: a row a device, and where traits changed.
    select distinct
        every_date.person_key,
        every_date.event_date
    from {{ ref('int_person_days') }} as every_date
    where
        every_date.as_of_date = (select max(as_of_dates.as_of_date) from as_of_dates)
        and every_date.events > 0

),

{% for period in ['day', 'week', 'month'] -%}
active_{{ period }}_starts as (

    select distinct
        person_key,
        {{ first_day_of_period(period, 'event_date') }} as period_start
    from active_days

),

{% endfor -%}
final as (
    {%- for period in ['day', 'week', 'month'] %}

    select
        person_key,
        '{{ period }}' as period,
        period_start,
        lag(period_start) over (partition by person_key order by period_start) as previous_start,
        lead(period_start) over (partition by person_key order by period_start) as next_start
    from active_{{ period }}_starts
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}

)

select * from final
