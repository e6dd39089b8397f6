-- The files of events, and a text for each that changes when the file does or the project's rules do.
with event_files as (

    select * from {{ source('generic', 'event_files') }}

),

final as (

    select
        source_file,
        cast(load_number as {{ dbt.type_string() }}) || ' {{ version_of('stg_generic__event_counts') }}' as file_version
    from event_files

)

select * from final
