-- How many rows of each file of events have a value in each column, by the load that read the file.
with event_file_columns as (

    select * from {{ source('generic', 'event_file_columns') }}

),

final as (

    select
        source_file,
        load_number,
        column_name,
        row_count,
        filled_rows
    from event_file_columns

)

select * from final
