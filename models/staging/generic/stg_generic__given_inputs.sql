-- The input tables of which there is a file, be it without rows.
with given_inputs as (

    select * from {{ source('generic', 'given_inputs') }}

),

final as (

    select table_name as input_table
    from given_inputs

)

select * from final
