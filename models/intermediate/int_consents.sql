-- Who agrees, at each as-of date, to each purpose that a segment set declares: those whose last word by its end is a
-- yes.
-- Where there is no input of consents nobody was asked, and everybody is here.
with metrics as (

    select * from {{ ref('int_user_metrics') }}

),

consents as (

    select
        *,
        -- A word without a time was always there.
        coalesce({{ local_date('said_at') }}, cast('0001-01-01' as date)) as said_on
    from {{ ref('stg_generic__consents') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

aliases as (

    select * from {{ ref('int_aliases') }}

),

given as (

    select count(*) as inputs
    from {{ ref('stg_generic__given_inputs') }}
    where input_table = 'consents'

),

purposes as (

    select cast(null as {{ dbt.type_string() }}) as purpose
    where 1 = 0
    {%- for purpose in declared_purposes() %}
    union all
    select '{{ purpose }}' as purpose
    {%- endfor %}

),

ranked as (

    -- Of a yes and a no at the same moment the no counts: `false` sorts first.
    select
        as_of_dates.as_of_date,
        coalesce(aliases.user_id, consents.user_id) as user_id,
        consents.purpose,
        consents.is_granted,
        row_number() over (
            partition by
                as_of_dates.as_of_date, coalesce(aliases.user_id, consents.user_id), consents.purpose
            order by
                consents.said_at is null, consents.said_at desc,
                cast(consents.is_granted as {{ dbt.type_string() }})
        ) as newest
    from consents
    inner join as_of_dates
        on consents.said_on <= as_of_dates.as_of_date
    left join aliases
        on
            consents.user_id = aliases.previous_id
            and as_of_dates.as_of_date >= aliases.known_from
            and as_of_dates.as_of_date < aliases.known_to

),

final as (

    select
        metrics.as_of_date,
        metrics.user_id,
        purposes.purpose
    from metrics
    cross join purposes
    cross join given
    left join ranked
        on
            metrics.as_of_date = ranked.as_of_date
            and metrics.user_id = ranked.user_id
            and purposes.purpose = ranked.purpose
            and ranked.newest = 1
    where coalesce(ranked.is_granted, given.inputs = 0)

)

select * from final
