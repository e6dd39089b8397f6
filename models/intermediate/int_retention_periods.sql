-- How often each person did what the retention reports name, in each day, week or month in which they did it: people as
-- they are known at the latest as-of date.
{{ config(materialized='table') }}

with reports as (

    select * from {{ ref('stg_generic__retention_reports') }}

),

latest as (

    select max(as_of_date) as as_of_date
    from {{ ref('int_as_of_dates') }}

),

person_days as (

    select * from {{ ref('int_person_days') }}
    where as_of_date = (select latest.as_of_date from latest) and events > 0

),

person_key_events as (

    select * from {{ ref('int_person_key_events') }}

),

kinds as (

    select * from {{ ref('int_key_event_kinds') }}

),

words as (

    select
        start_event as word,
        period
    from reports
    union distinct
    select
        return_event as word,
        period
    from reports

),

-- Short, in place of texts, where every row has one.
asked as (

    select
        word,
        period,
        cast(row_number() over (order by word, period) as smallint) as asked_number
    from words

),

-- A handful of rows, so that events are joined by equality.
asked_kinds as (

    select
        asked.asked_number,
        asked.period,
        kinds.event_name,
        kinds.event_type
    from asked
    inner join kinds
        on {{ word_is_of_event('asked.word', 'kinds.event_name', 'kinds.event_type') }}
    -- The word stands for whatever is activity, and for no event of that name.
    where asked.word <> 'activity'

),

done as (

    select
        asked.asked_number,
        asked.period,
        person_days.person_key,
        person_days.event_date,
        person_days.events as occurrences
    from person_days
    inner join asked
        on asked.word = 'activity'

    union all

    select
        asked_kinds.asked_number,
        asked_kinds.period,
        person_key_events.person_key,
        person_key_events.event_date,
        1 as occurrences
    from person_key_events
    inner join asked_kinds
        on
            person_key_events.event_name = asked_kinds.event_name
            and person_key_events.event_type = asked_kinds.event_type

),

dated as (

    select
        asked_number,
        person_key,
        event_date,
        occurrences,
        case period
            {%- for period in ['day', 'week', 'month'] %}
            when '{{ period }}' then {{ first_day_of_period(period, 'event_date') }}
            {%- endfor %}
        end as period_start
    from done

),

periods as (

    select
        asked_number,
        person_key,
        period_start,
        min(event_date) as first_date,
        cast(sum(occurrences) as bigint) as occurrences
    from dated
    group by asked_number, person_key, period_start

),

final as (

    select
        asked.word,
        asked.period,
        periods.person_key,
        periods.period_start,
        periods.first_date,
        periods.occurrences
    from periods
    inner join asked
        on periods.asked_number = asked.asked_number

)

select * from final
