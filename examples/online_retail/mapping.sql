-- From the daily invoice files to the event contract: one event for each invoice line, none left out. Runs on DuckDB
-- with the variable `source`, the folder of the files (tools/map_example.py sets it).
create table events as
with raw_lines as (

    select *
    from read_csv(
        getvariable('source') || '/*.csv*',
        header = true, delim = ',', quote = '"', escape = '"', all_varchar = true
    )

),

countries (country_name, country) as (

    -- ISO 3166-1 alpha-2. Left out, and so null: `Channel Islands` (two codes), `European Community` and `Unspecified`.
    values
    ('Australia', 'AU'),
    ('Austria', 'AT'),
    ('Bahrain', 'BH'),
    ('Belgium', 'BE'),
    ('Brazil', 'BR'),
    ('Canada', 'CA'),
    ('Cyprus', 'CY'),
    ('Czech Republic', 'CZ'),
    ('Denmark', 'DK'),
    ('EIRE', 'IE'),
    ('Finland', 'FI'),
    ('France', 'FR'),
    ('Germany', 'DE'),
    ('Greece', 'GR'),
    ('Hong Kong', 'HK'),
    ('Iceland', 'IS'),
    ('Israel', 'IL'),
    ('Italy', 'IT'),
    ('Japan', 'JP'),
    ('Lebanon', 'LB'),
    ('Lithuania', 'LT'),
    ('Malta', 'MT'),
    ('Netherlands', 'NL'),
    ('Norway', 'NO'),
    ('Poland', 'PL'),
    ('Portugal', 'PT'),
    ('RSA', 'ZA'),
    ('Saudi Arabia', 'SA'),
    ('Singapore', 'SG'),
    ('Spain', 'ES'),
    ('Sweden', 'SE'),
    ('Switzerland', 'CH'),
    ('USA', 'US'),
    ('United Arab Emirates', 'AE'),
    ('United Kingdom', 'GB')

),

typed as (

    select
        InvoiceNo as invoice,
        StockCode as stock_code,
        Description as description,
        cast(Quantity as integer) as quantity,
        cast(InvoiceDate as timestamp) as invoiced_at,
        cast(UnitPrice as decimal(12, 3)) as unit_price,
        -- Printed as a decimal number: 17850.0.
        regexp_replace(CustomerID, '\.0$', '') as customer_id,
        Country as country_name
    from raw_lines

),

numbered as (

    -- Lines of an invoice have no id, and some are alike in every column: bought twice, so both stay. Ordered by what
    -- a line says, the number does not depend on where the line stands in which file.
    select
        *,
        row_number() over (
            partition by invoice
            order by invoiced_at, stock_code, description, quantity, unit_price, customer_id, country_name
        ) as invoice_line
    from typed

),

final as (

    select
        numbered.invoice || '-' || numbered.invoice_line as event_id,
        case
            when numbered.invoice like 'C%' then 'item_cancelled'
            when numbered.quantity > 0 and numbered.unit_price > 0 then 'item_bought'
            when numbered.quantity > 0 and numbered.unit_price = 0 then 'item_given'
            else 'stock_adjusted'
        end as event_name,
        numbered.invoiced_at as event_at,
        -- Null for many: those lines are rejected by staging, which counts them.
        numbered.customer_id as user_id,
        countries.country,
        numbered.quantity,
        numbered.quantity * numbered.unit_price as revenue,
        json_object(
            'invoice', numbered.invoice,
            'stock_code', numbered.stock_code,
            'description', numbered.description,
            'unit_price', numbered.unit_price
        ) as properties
    from numbered
    left join countries
        on numbered.country_name = countries.country_name

)

select * from final;
