-- Every condition of macros/behaviours once, for their unit tests, which say on each side of each line what they mean.
-- Nothing reads it: ephemeral, it is never built. docs/how_do_i_say.md is where to look the conditions up.
{{ config(materialized='ephemeral') }}

with events as (

    select * from {{ ref('int_person_events') }}

),

conditions as (

    select
        as_of_date,
        user_id,
        {{ performed('core_action', days=7) }} as performed_7d,
        {{ performed('core_action') }} as performed_ever,
        {{ performed('core_action', days=7, at_least=2) }} as performed_twice_or_more_7d,
        {{ performed('core_action', days=7, at_most=2) }} as performed_at_most_twice_7d,
        {{ performed('core_action', days=7, exactly=2) }} as performed_exactly_twice_7d,
        {{ performed('core_action', days=7, between=[2, 3]) }} as performed_2_to_3_times_7d,
        {{ performed('core_action', from_date='2024-02-28', to_date='2024-02-29') }} as performed_on_two_dates,
        {{ performed('core_action', where="country = 'DE'") }} as performed_in_germany,
        {{ performed('core_action', where=json_text('properties', 'dish') ~ " = 'soup'") }} as performed_with_soup,
        {{ not_performed('core_action', days=7) }} as not_performed_7d,
        {{ first_time('core_action', days=7) }} as first_time_7d,
        {{ stopped('core_action', days=28, recent_days=7) }} as stopped_28d,
        {{ restarted('core_action', days=28, recent_days=7) }} as restarted_28d,
        {{ regularly('core_action', periods=2, of_last=3, period_days=7) }} as weekly_2_of_3,
        {{ more_of('core_action', than='search') }} as more_than_searched,
        {{ more_of('core_action', than='search', times=2) }} as twice_as_often_as_searched,
        {{ share_of('core_action') }} as share_of_all,
        {{ count_of('core_action', days=7) }} as times_7d,
        {{ distinct_of('event_date', 'core_action', days=7) }} as days_7d,
        {{ sum_of('quantity', 'core_action', days=7) }} as sum_7d,
        {{ average_of('quantity', 'core_action', days=7) }} as average_7d,
        {{ min_of('quantity', 'core_action', days=7) }} as least_7d,
        {{ max_of('quantity', 'core_action', days=7) }} as most_7d,
        {{ first_of('country', 'core_action') }} as first_country,
        {{ last_of('country', 'core_action') }} as last_country
    from events
    group by as_of_date, user_id

),

searched_then_cooked as (

    {{ sequence_of(['search', 'core_action'], within_days=1, without='error') }}

),

plan_before as (

    {{ trait_at('plan', days_before=30) }}

),

side_by_side as (

    select
        conditions.*,
        searched_then_cooked.user_id is not null as searched_then_cooked,
        plan_before.plan as plan_30_days_ago
    from conditions
    left join searched_then_cooked
        on
            conditions.as_of_date = searched_then_cooked.as_of_date
            and conditions.user_id = searched_then_cooked.user_id
    left join plan_before
        on conditions.as_of_date = plan_before.as_of_date and conditions.user_id = plan_before.user_id

),

final as (

    select
        *,
        {{ top_percent('times_7d', percent=50) }} as is_in_top_half,
        {{ top_n('times_7d', n=1) }} as is_in_top_1,
        {{ quantile_of('times_7d', quantiles=2) }} as half
    from side_by_side

)

select * from final
