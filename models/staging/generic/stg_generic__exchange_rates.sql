-- What one unit of a currency was worth in the reporting currency, a day.
with raw_rates as (

    select * from {{ source('generic', 'exchange_rates') }}

),

typed as (

    select
        upper(currency) as currency,
        cast({{ try_timestamp('day') }} as date) as rate_date,
        {{ try_number('rate', 'decimal(18, 8)') }} as rate
    from raw_rates

),

final as (

    -- One rate a currency and day, or its purchases would count twice.
    select
        currency,
        rate_date,
        cast(max(rate) as decimal(18, 8)) as rate
    from typed
    where currency is not null and rate_date is not null and rate > 0
    group by currency, rate_date

)

select * from final
