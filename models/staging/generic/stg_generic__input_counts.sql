-- How many rows the collector sent, and how many of them, or of their values, could not be used: one row a check.
-- A value does not parse when something was sent and nothing came of it.

-- The input table, what is counted, the column below that counts it.
{% set checks = [
    ('events', 'raw rows', 'raw_rows'),
    ('events', 'quantity does not parse', 'odd_quantities'),
    ('events', 'revenue does not parse', 'odd_revenues'),
    ('events', 'received_at does not parse', 'odd_receipts'),
    ('users', 'raw rows', 'raw_rows'),
    ('users', 'no user_id', 'nobodies'),
    ('users', 'updated_at does not parse', 'odd_updates'),
    ('users', 'signed_up_at does not parse', 'odd_sign_ups'),
    ('users', 'birth_year does not parse', 'odd_birth_years'),
    ('aliases', 'raw rows', 'raw_rows'),
    ('aliases', 'no previous_id or no user_id', 'nobodies'),
    ('aliases', 'aliased_at does not parse', 'odd_times'),
    ('feedback', 'raw rows', 'raw_rows'),
    ('feedback', 'no feedback_id or no user_id', 'nobodies'),
    ('feedback', 'kind is none of nps, csat, ces', 'odd_kinds'),
    ('feedback', 'no score', 'no_scores'),
    ('feedback', 'score does not parse', 'odd_scores'),
    ('feedback', 'nps score outside 0 to 10', 'nps_out_of_range'),
    ('feedback', 'no submitted_at', 'no_times'),
    ('feedback', 'submitted_at does not parse', 'odd_times'),
    ('exchange_rates', 'raw rows', 'raw_rows'),
    ('exchange_rates', 'no currency, no day or no rate', 'unusable'),
    ('consents', 'raw rows', 'raw_rows'),
    ('consents', 'no user_id or no purpose', 'nobodies'),
    ('consents', 'granted is neither true nor false', 'odd_words'),
    ('consents', 'at does not parse', 'odd_times'),
] %}

{%- set text = dbt.type_string() %}
with event_counts as (

    select
        check_name,
        sum(row_count) as row_count
    from {{ ref('stg_generic__event_counts') }}
    group by check_name

),

events as (

    select
        coalesce(sum(case when check_name = 'raw rows' then row_count end), 0) as raw_rows,
        coalesce(sum(case when check_name = 'quantity does not parse' then row_count end), 0) as odd_quantities,
        coalesce(sum(case when check_name = 'revenue does not parse' then row_count end), 0) as odd_revenues,
        coalesce(sum(case when check_name = 'received_at does not parse' then row_count end), 0) as odd_receipts
    from event_counts

),

users as (

    select
        count(*) as raw_rows,
        count(case when coalesce(user_id, '') = '' then 1 end) as nobodies,
        count(case when {{ try_timestamp('updated_at') }} is null and cast(updated_at as {{ text }}) <> '' then 1 end)
            as odd_updates,
        count(
            case when {{ try_timestamp('signed_up_at') }} is null and cast(signed_up_at as {{ text }}) <> '' then 1 end
        ) as odd_sign_ups,
        count(case when {{ try_integer('birth_year') }} is null and cast(birth_year as {{ text }}) <> '' then 1 end)
            as odd_birth_years
    from {{ source('generic', 'users') }}

),

aliases as (

    select
        count(*) as raw_rows,
        count(case when coalesce(previous_id, '') = '' or coalesce(user_id, '') = '' then 1 end) as nobodies,
        count(case when {{ try_timestamp('aliased_at') }} is null and cast(aliased_at as {{ text }}) <> '' then 1 end)
            as odd_times
    from {{ source('generic', 'aliases') }}

),

answers as (

    select
        coalesce(feedback_id, '') <> '' and coalesce(user_id, '') <> '' as is_somebodys,
        coalesce(lower(kind), '') as kind,
        coalesce(cast(score as {{ text }}), '') as score_as_sent,
        {{ try_integer('score') }} as score,
        coalesce(cast(submitted_at as {{ text }}), '') as submitted_at_as_sent,
        {{ try_timestamp('submitted_at') }} as submitted_at
    from {{ source('generic', 'feedback') }}

),

feedback as (

    -- Of an answer that is nobody's no value is used, so none is missed.
    select
        count(*) as raw_rows,
        count(case when not is_somebodys then 1 end) as nobodies,
        count(case when is_somebodys and kind not in ('nps', 'csat', 'ces') then 1 end) as odd_kinds,
        count(case when is_somebodys and score_as_sent = '' then 1 end) as no_scores,
        count(case when is_somebodys and score is null and score_as_sent <> '' then 1 end) as odd_scores,
        count(case when is_somebodys and kind = 'nps' and score not between 0 and 10 then 1 end) as nps_out_of_range,
        count(case when is_somebodys and submitted_at_as_sent = '' then 1 end) as no_times,
        count(case when is_somebodys and submitted_at is null and submitted_at_as_sent <> '' then 1 end) as odd_times
    from answers

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
    from {{ source('generic', 'exchange_rates') }}

),

consents as (

    select
        count(*) as raw_rows,
        count(case when coalesce(sent.user_id, '') = '' or coalesce(trim(sent.purpose), '') = '' then 1 end)
            as nobodies,
        count(case when coalesce(lower(trim(sent.granted)), '') not in ('true', 'false') then 1 end) as odd_words,
        count(case when {{ try_timestamp('sent.at') }} is null and cast(sent.at as {{ text }}) <> '' then 1 end)
            as odd_times
    from {{ source('generic', 'consents') }} as sent

),

final as (

    select
        'events' as input_table,
        check_name,
        row_count
    from event_counts
    where check_name like 'rejected: %'
    {%- for input_table, check_name, column in checks %}

    union all

    select
        '{{ input_table }}' as input_table,
        '{{ check_name }}' as check_name,
        {{ column }} as row_count
    from {{ input_table }}
    {%- endfor %}

)

select * from final
