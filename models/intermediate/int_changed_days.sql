-- The days that have to be built anew: something of theirs is not as it was when they were last built by a run that
-- came to its end. A table: what it says must not change while a run goes on.
{{ config(materialized='table') }}

with versions as (

    select * from {{ ref('int_day_versions') }}

),

built as (

    select * from {{ source('runs', 'built_days') }}

),

retention as (

    select * from {{ source('runs', 'retention') }}

),

final as (

    -- No version: there is nothing of that day any more.
    select
        coalesce(versions.cause, built.cause) as cause,
        coalesce(versions.event_date, built.event_date) as event_date,
        versions.version
    from versions
    full outer join built
        on versions.cause = built.cause and versions.event_date = built.event_date
    where
        not ({{ same('versions.version', 'built.version') }})
        -- A day whose events are no longer kept stays as it was built.
        and not exists (
            select 1 from retention
            where coalesce(versions.event_date, built.event_date) < retention.first_open_day
        )

)

select * from final
