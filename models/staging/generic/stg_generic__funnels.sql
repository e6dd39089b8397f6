-- What fct_funnel is asked for: one row a step of a funnel.
with raw_funnels as (

    select * from {{ source('generic', 'funnels') }}
    where funnel is not null

),

final as (

    select
        trim(funnel) as funnel,
        {{ try_integer('step') }} as step,
        trim(event) as event,
        {{ try_integer('window_seconds') }} as window_seconds
    from raw_funnels

)

select * from final
