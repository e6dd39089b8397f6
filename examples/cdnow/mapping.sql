-- From CDNOW_sample.txt to the event contract: one purchase event for each line. Runs on DuckDB with the variable
-- `source`, the folder of the file (tools/map_example.py sets it).
create table events as
with text_lines as (

    -- Columns padded with spaces, no header: read as whole lines (no line has a tab) and split below.
    select
        case
            when regexp_full_match(trim(line), '\d+ +\d+ +\d{8} +\d+ +\d+\.\d\d')
                then string_split_regex(trim(line), ' +')
            -- A file of something else must not become events without values.
            else error('CDNOW_sample.txt has a line that is not: id in master, id, date, CDs, value')
        end as fields
    from read_csv(
        getvariable('source') || '/CDNOW_sample.txt',
        columns = {'line': 'VARCHAR'}, auto_detect = false, header = false, delim = '\t', quote = '', escape = ''
    )

),

purchases as (

    select
        fields[1] as id_in_master,
        cast(fields[2] as integer) as customer_id,
        strptime(fields[3], '%Y%m%d') as bought_at,
        cast(fields[4] as integer) as cds,
        cast(fields[5] as decimal(18, 2)) as amount
    from text_lines

),

numbered as (

    -- A customer may buy twice on a day, even the same: the number tells those lines apart. Ordered by what a line
    -- says, it does not depend on where the line stands in the file.
    select
        *,
        row_number() over (partition by customer_id, bought_at order by cds, amount) as line_of_day
    from purchases

),

final as (

    select
        customer_id || '-' || strftime(bought_at, '%Y%m%d') || '-' || line_of_day as event_id,
        'cds_bought' as event_name,
        bought_at as event_at,
        cast(customer_id as varchar) as user_id,
        'cds' as item_category,
        cds as quantity,
        amount as revenue,
        json_object('id_in_master', id_in_master) as properties
    from numbered

)

select * from final;
