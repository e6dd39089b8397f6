-- How many rows the collector sent, and how many of them, or of their values, could not be used: one row a check.
-- A value counts as one that does not parse when something was sent and nothing came of it.
with events as (

    select
        rejection_reason,
        count(*) as raw_rows,
        count(case when quantity is null and cast(quantity_as_sent as varchar) <> '' then 1 end) as odd_quantities,
        count(case when revenue is null and cast(revenue_as_sent as varchar) <> '' then 1 end) as odd_revenues,
        count(case when received_at is null and cast(received_at_as_sent as varchar) <> '' then 1 end) as odd_receipts
    from {{ ref('base_generic__events') }}
    group by rejection_reason

),

users as (

    select
        count(*) as raw_rows,
        count(case when coalesce(user_id, '') = '' then 1 end) as nobodies,
        count(case when {{ try_timestamp('updated_at') }} is null and cast(updated_at as varchar) <> '' then 1 end)
            as odd_updates,
        count(case when {{ try_timestamp('signed_up_at') }} is null and cast(signed_up_at as varchar) <> '' then 1 end)
            as odd_sign_ups,
        count(case when {{ try_number('birth_year', 'integer') }} is null and cast(birth_year as varchar) <> '' then 1 end)
            as odd_birth_years
    from {{ source('raw', 'users') }}

),

aliases as (

    select
        count(*) as raw_rows,
        count(case when coalesce(previous_id, '') = '' or coalesce(user_id, '') = '' then 1 end) as nobodies,
        count(case when {{ try_timestamp('aliased_at') }} is null and cast(aliased_at as varchar) <> '' then 1 end)
            as odd_times
    from {{ source('raw', 'aliases') }}

),

feedback as (

    select
        count(*) as raw_rows,
        count(case when coalesce(feedback_id, '') = '' or coalesce(user_id, '') = '' then 1 end) as nobodies,
        count(case when {{ try_number('score', 'integer') }} is null and cast(score as varchar) <> '' then 1 end)
            as odd_scores,
        count(case when {{ try_timestamp('submitted_at') }} is null and cast(submitted_at as varchar) <> '' then 1 end)
            as odd_times
    from {{ source('raw', 'feedback') }}

),

exchange_rates as (

    select
        count(*) as raw_rows,
        count(
            case
                when
                    coalesce(currency, '') = ''
                    or {{ try_timestamp('day') }} is null
                    or coalesce({{ try_number('rate', 'decimal(18, 8)') }}, 0) <= 0
                    then 1
            end
        ) as unusable
    from {{ source('raw', 'exchange_rates') }}

),

final as (

    select 'events' as input, 'raw rows' as check_name, sum(raw_rows) as row_count from events
    union all
    select 'events', 'rejected: ' || rejection_reason, raw_rows from events where rejection_reason is not null
    union all
    select 'events', 'quantity does not parse', sum(odd_quantities) from events where rejection_reason is null
    union all
    select 'events', 'revenue does not parse', sum(odd_revenues) from events where rejection_reason is null
    union all
    select 'events', 'received_at does not parse', sum(odd_receipts) from events where rejection_reason is null
    union all
    select 'users', 'raw rows', raw_rows from users
    union all
    select 'users', 'no user_id', nobodies from users
    union all
    select 'users', 'updated_at does not parse', odd_updates from users
    union all
    select 'users', 'signed_up_at does not parse', odd_sign_ups from users
    union all
    select 'users', 'birth_year does not parse', odd_birth_years from users
    union all
    select 'aliases', 'raw rows', raw_rows from aliases
    union all
    select 'aliases', 'no previous_id or no user_id', nobodies from aliases
    union all
    select 'aliases', 'aliased_at does not parse', odd_times from aliases
    union all
    select 'feedback', 'raw rows', raw_rows from feedback
    union all
    select 'feedback', 'no feedback_id or no user_id', nobodies from feedback
    union all
    select 'feedback', 'score does not parse', odd_scores from feedback
    union all
    select 'feedback', 'submitted_at does not parse', odd_times from feedback
    union all
    select 'exchange_rates', 'raw rows', raw_rows from exchange_rates
    union all
    select 'exchange_rates', 'no currency, no day or no rate', unusable from exchange_rates

)

select * from final
