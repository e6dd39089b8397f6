-- The moments of each user that lifecycle messages are triggered by: when, how long after the sign-up, and in which
-- segment of each exclusive set the user was then.
{{ config(pre_hook="{{ add_exclusive_set_columns(model) }}") }}
{%- set sets = exclusive_flag_sets() %}

with latest as (

    select max(as_of_date) as as_of_date
    from {{ ref('int_as_of_dates') }}

),

key_moments as (

    select * from {{ ref('int_key_moments') }}

),

metrics as (

    select user_id
    from {{ ref('int_user_metrics') }}
    where as_of_date = (select latest.as_of_date from latest)

),

people as (

    select
        person_key,
        min(user_id) as user_id
    from {{ ref('int_people') }}
    where
        known_from <= (select latest.as_of_date from latest)
        and known_to > (select latest.as_of_date from latest)
    group by person_key

),

history as (

    select
        *,
        {{ evaluated_as() }} as evaluated_as
    from {{ ref('fct_segment_membership_history') }}
    where segment_set in {{ exclusive_set_names() }}

),

evaluations as (

    select * from {{ source('runs', 'evaluations') }}
    where people is not null

),

signed_up as (

    select * from key_moments
    where moment = 'signed_up'

),

moments as (

    select
        people.user_id,
        key_moments.moment,
        key_moments.moment_date,
        key_moments.moment_at,
        {{ days_between('signed_up.moment_date', 'key_moments.moment_date') }} as days_since_sign_up
    from key_moments
    inner join people
        on key_moments.person_key = people.person_key
    -- Everybody with activity, as in dim_users.
    inner join metrics
        on people.user_id = metrics.user_id
    left join signed_up
        on key_moments.person_key = signed_up.person_key

),

-- What the history holds for the day, where it was evaluated on it.
segments_then as (

    select
        moments.user_id,
        moments.moment,
        {%- for set in sets %}
        max(case when history.segment_set = '{{ set.name }}' then history.segment end) as {{ set.name }},
        {%- endfor %}
        count(*) as segments
    from moments
    inner join history
        on
            moments.user_id = history.user_id
            and moments.moment_date >= history.valid_from
            and (history.valid_to is null or moments.moment_date < history.valid_to)
    inner join evaluations
        on
            moments.moment_date = evaluations.as_of_date
            and history.segment_set = evaluations.segment_set
            and history.evaluated_as = evaluations.segment
    group by moments.user_id, moments.moment

),

final as (

    select
        moments.user_id,
        moments.moment,
        moments.moment_date,
        moments.moment_at,
        {%- for set in sets %}
        segments_then.{{ set.name }},
        {%- endfor %}
        moments.days_since_sign_up
    from moments
    left join segments_then
        on moments.user_id = segments_then.user_id and moments.moment = segments_then.moment

)

select * from final
