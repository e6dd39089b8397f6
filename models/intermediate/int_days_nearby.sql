-- The changed days and the two days on each side of them, by how far they are off: a session goes on over midnight, and
-- an event_id is looked for on the days beside.
with changed_days as (

    select distinct event_date
    from {{ ref('int_changed_days') }}

),

offsets as (
    {%- for days_off in [-2, -1, 0, 1, 2] %}

    select {{ days_off }} as days_off
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}

),

final as (

    select distinct
        {{ days_after('changed_days.event_date', 'offsets.days_off') }} as event_date,
        offsets.days_off
    from changed_days
    cross join offsets

)

select * from final
