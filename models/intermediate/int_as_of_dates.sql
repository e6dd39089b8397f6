-- The days that this run answers for: the one asked for (AS_OF), else the newest day of clean events.
with half_hours as (

    select * from {{ ref('int_half_hours') }}

),

final as (

    {% if requested_as_of_date() -%}
    select cast('{{ requested_as_of_date() }}' as date) as as_of_date
    {%- else -%}
    select max(event_date) as as_of_date
    from half_hours
    {%- endif %}

)

select * from final
