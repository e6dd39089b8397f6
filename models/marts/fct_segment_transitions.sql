-- How many users moved from which segment to which other, from the end of the period before to the end of a period.
with history as (

    select
        {{ hash64_of_all(['user_id', 'segment_set']) }} as user_key,
        segment_set,
        segment,
        valid_from,
        valid_to
    from {{ ref('fct_segment_membership_history') }}
    where segment_set in {{ exclusive_set_names() }}

),

gone as (

    select * from history
    where valid_to is not null

),

-- Nobody came from a segment on the first day of all, when most stays began.
came as (

    select * from history
    where valid_from > (select min(earliest.valid_from) from history as earliest)

),

-- In an exclusive set a user has one stay at most that goes in a period, and one that comes. One that begins and ends
-- in the same period is nobody's segment at the end of any.
moves as (
    {%- for period in ['day', 'week', 'month'] %}

    select
        '{{ period }}' as period,
        {{ first_day_of_period(period, 'came.valid_from') }} as period_start,
        gone.segment_set,
        gone.segment as from_segment,
        came.segment as to_segment,
        count(*) as users
    from gone
    inner join came
        on
            gone.user_key = came.user_key
            and {{ first_day_of_period(period, 'gone.valid_to') }}
            = {{ first_day_of_period(period, 'came.valid_from') }}
    where
        {{ first_day_of_period(period, 'gone.valid_from') }} < {{ first_day_of_period(period, 'gone.valid_to') }}
        and (
            came.valid_to is null
            or {{ first_day_of_period(period, 'came.valid_from') }} < {{ first_day_of_period(period, 'came.valid_to') }}
        )
    group by
        {{ first_day_of_period(period, 'came.valid_from') }}, gone.segment_set, gone.segment, came.segment
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}

),

stays as (

    select
        segment_set,
        segment,
        valid_from,
        valid_to,
        count(*) as users
    from history
    group by segment_set, segment, valid_from, valid_to

),

dated as (
    {%- for period in ['day', 'week', 'month'] %}

    select
        '{{ period }}' as period,
        users,
        segment_set,
        segment,
        {{ first_day_of_period(period, 'valid_from') }} as begins_in,
        {{ first_day_of_period(period, 'valid_to') }} as ends_in
    from stays
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}

),

-- The others came from nowhere, or went there. They are counted by what is left: on the first evaluated day that is
-- everybody.
ends as (

    select
        period,
        begins_in as period_start,
        segment_set,
        '(none)' as from_segment,
        segment as to_segment,
        users
    from dated
    where ends_in is null or ends_in > begins_in

    union all

    select
        period,
        ends_in as period_start,
        segment_set,
        segment as from_segment,
        '(none)' as to_segment,
        users
    from dated
    where ends_in > begins_in

    union all

    select
        period,
        period_start,
        segment_set,
        '(none)' as from_segment,
        to_segment,
        -users as users
    from moves

    union all

    select
        period,
        period_start,
        segment_set,
        from_segment,
        '(none)' as to_segment,
        -users as users
    from moves

),

counted as (

    select
        period,
        period_start,
        segment_set,
        from_segment,
        to_segment,
        users
    from moves
    where from_segment <> to_segment

    union all

    select
        period,
        period_start,
        segment_set,
        from_segment,
        to_segment,
        sum(users) as users
    from ends
    group by period, period_start, segment_set, from_segment, to_segment
    having sum(users) > 0

),

final as (

    select
        period,
        period_start,
        segment_set,
        from_segment,
        to_segment,
        cast(users as bigint) as users
    from counted

)

select * from final
