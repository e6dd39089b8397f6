-- The moments of each user that lifecycle messages are triggered by: when, how long after the sign-up, and in which
-- segment of each exclusive set the user was then.
{{ config(pre_hook="{{ add_exclusive_set_columns(model) }}") }}
{%- set sets = exclusive_flag_sets() %}

with latest as (

    select max(as_of_date) as as_of_date
    from {{ ref('int_as_of_dates') }}

),

key_moments as {{ once() }} (

    select * from {{ ref('int_key_moments') }}

),

-- Everybody with activity, as in dim_users.
people as (

    select
        user_id,
        -- As int_people makes it.
        {{ hash64('user_id') }} as person_key
    from {{ ref('int_user_metrics') }}
    where as_of_date = (select latest.as_of_date from latest)

),

evaluated_segments as (

    select * from {{ ref('int_evaluated_segments') }}
    where segment_set in {{ exclusive_set_names(kind='flags') }}

),

signed_up as (

    select * from key_moments
    where moment = 'signed_up'

),

-- Of most days nothing is known: they were before the first evaluation.
people_of_days as {{ once() }} (

    select distinct
        person_key,
        moment_date
    from key_moments
    where moment_date in (select evaluated_segments.as_of_date from evaluated_segments)

),

-- What the history holds for the day, where it was evaluated on it.
segments_then as {{ once() }} (

    select
        people_of_days.person_key,
        people_of_days.moment_date,
        {%- for set in sets %}
        max(case when evaluated_segments.segment_set = '{{ set.name }}' then evaluated_segments.segment end)
            as {{ set.name }},
        {%- endfor %}
        count(*) as segments
    from people_of_days
    inner join {{ ref('int_segment_spells') }} as segment_spells
        on
            people_of_days.person_key = segment_spells.person_key
            and people_of_days.moment_date >= segment_spells.valid_from
            and people_of_days.moment_date < segment_spells.valid_to
    inner join {{ ref('int_spell_segments') }} as spell_segments
        on segment_spells.combination_key = spell_segments.combination_key
    inner join evaluated_segments
        on
            people_of_days.moment_date = evaluated_segments.as_of_date
            and spell_segments.segment_key = evaluated_segments.segment_key
    group by people_of_days.person_key, people_of_days.moment_date

),

final as (

    select
        people.user_id,
        key_moments.moment,
        key_moments.moment_date,
        key_moments.moment_at,
        {%- for set in sets %}
        segments_then.{{ set.name }},
        {%- endfor %}
        {{ days_between('signed_up.moment_date', 'key_moments.moment_date') }} as days_since_sign_up
    from key_moments
    inner join people
        on key_moments.person_key = people.person_key
    left join signed_up
        on key_moments.person_key = signed_up.person_key
    left join segments_then
        on
            key_moments.person_key = segments_then.person_key
            and key_moments.moment_date = segments_then.moment_date

)

select * from final
