-- How many users moved from which segment to which other, from the end of the period before to the end of a period.
with history as (

    select * from {{ ref('fct_segment_membership_history') }}
    where segment_set in {{ exclusive_set_names() }}

),

dated as (
    {%- for period in ['day', 'week', 'month'] %}

    select
        '{{ period }}' as period,
        user_id,
        segment_set,
        segment,
        {{ first_day_of_period(period, 'valid_from') }} as begins_in,
        {{ first_day_of_period(period, 'valid_to') }} as ends_in
    from history
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}

),

-- A stay that begins and ends in one period is no user's segment at the end of any.
came as (

    select * from dated
    where ends_in is null or ends_in > begins_in

),

gone as (

    select * from dated
    where ends_in > begins_in

),

moves as (

    select
        coalesce(came.period, gone.period) as period,
        coalesce(came.begins_in, gone.ends_in) as period_start,
        coalesce(came.segment_set, gone.segment_set) as segment_set,
        coalesce(gone.segment, '(none)') as from_segment,
        coalesce(came.segment, '(none)') as to_segment
    from came
    full outer join gone
        on
            came.period = gone.period
            and came.begins_in = gone.ends_in
            and came.user_id = gone.user_id
            and came.segment_set = gone.segment_set

),

final as (

    select
        period,
        period_start,
        segment_set,
        from_segment,
        to_segment,
        count(*) as users
    from moves
    where from_segment <> to_segment
    group by period, period_start, segment_set, from_segment, to_segment

)

select * from final
