-- When each person came to what lifecycle messages are about, as known at the latest as-of date: one row a person and
-- moment. A moment is an event, with its time, or a day on which something came to hold.
with latest as (

    select max(as_of_date) as as_of_date
    from {{ ref('int_as_of_dates') }}

),

person_days as (

    select * from {{ ref('int_person_days') }}
    where as_of_date = (select latest.as_of_date from latest)

),

traits as (

    select * from {{ ref('int_user_traits') }}
    where as_of_date = (select latest.as_of_date from latest)

),

key_events as (

    select * from {{ ref('int_person_key_events') }}
    where event_type in ('sign_up', 'login', 'core_action', 'purchase')

),

first_seen as (

    select
        person_key,
        min(event_date) as moment_date,
        min(first_event_at) as moment_at
    from person_days
    group by person_key

),

firsts as (

    select
        person_key,
        event_type,
        {{ value_at_min('event_date', 'event_at') }} as event_date,
        min(event_at) as event_at
    from key_events
    where event_type <> 'login'
    group by person_key, event_type

),

first_sign_ups as (

    select * from firsts
    where event_type = 'sign_up'

),

numbered_purchases as (

    select
        person_key,
        event_date,
        event_at,
        row_number() over (partition by person_key order by event_at) as nth_event
    from key_events
    where event_type = 'purchase'

),

-- What the application says, else what the events showed.
signed_up as (

    select
        coalesce(traits.person_key, first_sign_ups.person_key) as person_key,
        coalesce(traits.signed_up_date, first_sign_ups.event_date) as moment_date,
        coalesce(traits.signed_up_at, first_sign_ups.event_at) as moment_at
    from traits
    full outer join first_sign_ups
        on traits.person_key = first_sign_ups.person_key
    where coalesce(traits.signed_up_at, first_sign_ups.event_at) is not null

),

first_logins as (

    select
        key_events.person_key,
        min(key_events.event_date) as moment_date,
        min(key_events.event_at) as moment_at
    from key_events
    inner join signed_up
        on key_events.person_key = signed_up.person_key and key_events.event_at >= signed_up.moment_at
    where key_events.event_type = 'login'
    group by key_events.person_key

),

core_days as (

    select distinct
        person_key,
        event_date,
        {{ days_between("cast('1970-01-01' as date)", 'event_date') }} as day_number
    from key_events
    where event_type = 'core_action'

),

core_spans as (

    select
        person_key,
        day_number,
        lag(day_number, 2) over (partition by person_key order by day_number) as third_last_day
    from core_days

),

-- Three weeks of four have three days that lie less than 28 days apart: few people have them.
with_three_days as (

    select distinct person_key
    from core_spans
    where day_number - third_last_day < 28

),

-- Whether there was a core action in the week that ends on a day with one (always), 1, 2, 3 weeks before, and after.
core_weeks as (

    select
        person_key,
        event_date,
        {%- for weeks in [-3, -2, -1, 1, 2, 3] %}
        {%- set bounds = (
            7 * weeks - 6 if weeks > 0 else -7 * weeks + 6, 7 * weeks if weeks > 0 else -7 * weeks
        ) %}
        {%- set direction = 'following' if weeks > 0 else 'preceding' %}
        case
            when
                count(*) over (
                    partition by person_key
                    order by day_number
                    range between {{ bounds[0] }} {{ direction }} and {{ bounds[1] }} {{ direction }}
                ) > 0
                then 1
            else 0
        end as in_week_{{ 'minus_' if weeks < 0 }}{{ weeks | abs }},
        {%- endfor %}
        1 as in_week_0
    from core_days
    where person_key in (select with_three_days.person_key from with_three_days)

),

-- A week of four begins to hold a core action when its last day is one of a core action: so the four can come to hold
-- three on such a day, and 7, 14 and 21 days after it, but on no other.
habit_days as (
    {%- for later in range(4) %}

    select
        person_key,
        {{ days_after('event_date', 7 * later) }} as moment_date
    from core_weeks
    where
        {% for weeks in range(later - 3, later + 1) -%}
        in_week_{{ 'minus_' if weeks < 0 }}{{ weeks | abs }} {{ '+ ' if not loop.last }}
        {%- endfor -%}
        >= 3
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}

),

habits as (

    select
        person_key,
        min(moment_date) as moment_date
    from habit_days
    where moment_date <= (select latest.as_of_date from latest)
    group by person_key

),

compared_days as (

    select * from {{ ref('int_active_days') }}

),

busy_months as (

    select
        person_key,
        min(active_on) as moment_date
    from compared_days
    where {{ first_day_of_period('month', 'begins_threshold_on') }} = {{ first_day_of_period('month', 'active_on') }}
    group by person_key

),

-- As seg_lifecycle has it: dormant on the 30th day after an active one, resurrected by coming on that day or later.
dormant as (

    select
        person_key,
        max({{ days_after('active_on', 30) }}) as moment_date
    from compared_days
    where
        {{ days_after('active_on', 30) }} <= (select latest.as_of_date from latest)
        and (next_active_on is null or next_active_on > {{ days_after('active_on', 30) }})
    group by person_key

),

came_back as (

    select
        person_key,
        max(next_active_on) as moment_date
    from compared_days
    where next_active_on >= {{ days_after('active_on', 30) }}
    group by person_key

),

final as (

    {% for moment, rows in [
        ('first_seen', 'first_seen'), ('signed_up', 'signed_up'), ('first_login_after_sign_up', 'first_logins')
    ] -%}
    select
        person_key,
        '{{ moment }}' as moment,
        moment_date,
        moment_at
    from {{ rows }}

    union all

    {% endfor -%}
    {% for moment, event_type in [('activated', 'core_action'), ('first_purchase', 'purchase')] -%}
    select
        person_key,
        '{{ moment }}' as moment,
        event_date as moment_date,
        event_at as moment_at
    from firsts
    where event_type = '{{ event_type }}'

    union all

    {% endfor -%}
    select
        person_key,
        'second_purchase' as moment,
        event_date as moment_date,
        event_at as moment_at
    from numbered_purchases
    where nth_event = 2

    union all

    {% for moment, rows in [
        ('habit', 'habits'), ('monthly_activity_threshold', 'busy_months'), ('went_dormant', 'dormant'),
        ('came_back', 'came_back')
    ] -%}
    select
        person_key,
        '{{ moment }}' as moment,
        moment_date,
        cast(null as timestamp) as moment_at
    from {{ rows }}
    {%- if not loop.last %}

    union all

    {% endif %}
    {%- endfor %}

)

select * from final
