-- What each person is most interested in at each as-of date: of item categories and search terms the one that leads. Of
-- equals the one met last counts, then the one whose name sorts first.
with interest_days as (

    select * from {{ ref('int_interest_days') }}

),

people as (

    select
        as_of_dates.as_of_date,
        people.pair_key,
        people.person_key
    from {{ ref('int_people') }} as people
    inner join {{ ref('int_as_of_dates') }} as as_of_dates
        on people.known_from <= as_of_dates.as_of_date and people.known_to > as_of_dates.as_of_date

),

-- A person may have several rows of a day: one a device.
person_days as (

    select
        people.as_of_date,
        people.person_key,
        interest_days.event_type,
        interest_days.interest,
        interest_days.event_date > {{ days_after('people.as_of_date', -90) }} as is_within_90d,
        sum(interest_days.times) as times,
        max(interest_days.last_event_at) as last_event_at
    from interest_days
    inner join people
        on
            interest_days.pair_key = people.pair_key
            and interest_days.event_date <= people.as_of_date
            and interest_days.event_date > {{ days_after('people.as_of_date', -365) }}
    group by
        people.as_of_date, people.person_key, interest_days.event_type, interest_days.interest, interest_days.event_date

),

totals as (

    select
        as_of_date,
        person_key,
        event_type,
        interest,
        count(case when is_within_90d then 1 end) as days_90d,
        sum(case when is_within_90d then times else 0 end) as times_90d,
        sum(times) as times_365d,
        max(last_event_at) as last_event_at
    from person_days
    group by as_of_date, person_key, event_type, interest

),

-- A term of one person may say who it is. Ten who share it make it a wish that many have.
shared_terms as (

    select
        as_of_date,
        interest
    from totals
    where event_type = 'search' and days_90d > 0
    group by as_of_date, interest
    having count(*) >= 10

),

candidates as (

    -- Twice is chance: a category counts from the third view.
    select
        *,
        'viewed_90d' as topic,
        days_90d as weight
    from totals
    where event_type = 'content_view' and times_90d >= 3

    union all

    select
        *,
        'viewed_365d' as topic,
        times_365d as weight
    from totals
    where event_type = 'content_view'

    union all

    select
        *,
        'bought_365d' as topic,
        times_365d as weight
    from totals
    where event_type = 'purchase'

    union all

    -- Whoever has a shared term besides one of their own is told by it.
    select
        totals.*,
        'searched_90d' as topic,
        case when shared_terms.interest is not null then totals.days_90d else 0 end as weight
    from totals
    left join shared_terms
        on totals.as_of_date = shared_terms.as_of_date and totals.interest = shared_terms.interest
    where totals.event_type = 'search' and totals.days_90d > 0

),

ranked as (

    select
        as_of_date,
        person_key,
        topic,
        case when weight > 0 then interest else 'other' end as interest,
        row_number() over (
            partition by as_of_date, person_key, topic
            order by weight desc, last_event_at desc, interest asc
        ) as place
    from candidates

),

final as (

    select
        as_of_date,
        person_key,
        max(case when topic = 'viewed_90d' then interest end) as top_viewed_category_90d,
        max(case when topic = 'viewed_365d' then interest end) as top_viewed_category_365d,
        max(case when topic = 'bought_365d' then interest end) as top_bought_category_365d,
        max(case when topic = 'searched_90d' then interest end) as top_search_term_90d
    from ranked
    where place = 1
    group by as_of_date, person_key

)

select * from final
