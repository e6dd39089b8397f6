-- Who was in which segment from when to when. What holds on an evaluated day holds until the next evaluated one.
--
-- The days of int_evaluations are spliced into what is there, whether they lie before, between or after it: membership
-- is compared with the stays day by day, and only stays of users with a difference are written again. A full refresh
-- keeps the history, because it cannot be computed again: it says what was known then.
{{ config(
    materialized='incremental',
    incremental_strategy='replace_stays',
    unique_key=['user_id', 'segment_set', 'segment'],
    full_refresh=false,
    on_schema_change='fail',
    post_hook='{{ record_evaluations() }}',
) }}
with members as (

    select
        as_of_date,
        user_id,
        segment_set,
        segment,
        -- A flag stands for itself, a value for its whole set.
        {{ evaluated_as() }} as evaluated_as
    from {{ ref('int_segment_members') }}

),

stays as (

    {% if is_incremental() -%}
    select
        user_id,
        segment_set,
        segment,
        {{ evaluated_as() }} as evaluated_as,
        valid_from,
        valid_to
    from {{ this }}
    {%- else -%}
    select
        user_id,
        segment_set,
        segment,
        evaluated_as,
        as_of_date as valid_from,
        as_of_date as valid_to
    from members
    where 1 = 0
    {%- endif %}

),

evaluations as (

    select * from {{ source('runs', 'evaluations') }}
    where segment_set <> 'all'

),

days as (

    select
        as_of_date,
        segment_set,
        segment as evaluated_as
    from {{ ref('int_evaluations') }}
    where segment_set <> 'all'

),

days_and_evaluated_ones as (

    select
        as_of_date,
        segment_set,
        evaluated_as
    from days
    union
    select
        as_of_date,
        segment_set,
        segment as evaluated_as
    from evaluations

),

followed as (

    select
        as_of_date,
        segment_set,
        evaluated_as,
        lead(as_of_date) over (partition by segment_set, evaluated_as order by as_of_date) as next_day
    from days_and_evaluated_ones

),

-- Each day to evaluate, and up to when it holds.
spans as (

    select
        days.as_of_date,
        days.segment_set,
        days.evaluated_as,
        followed.next_day
    from days
    inner join followed
        on
            days.as_of_date = followed.as_of_date
            and days.segment_set = followed.segment_set
            and days.evaluated_as = followed.evaluated_as

),

now_in as (

    select
        members.as_of_date,
        members.user_id,
        members.segment_set,
        members.segment,
        spans.next_day
    from members
    inner join spans
        on
            members.as_of_date = spans.as_of_date
            and members.segment_set = spans.segment_set
            and members.evaluated_as = spans.evaluated_as

),

before_in as (

    select
        spans.as_of_date,
        stays.user_id,
        stays.segment_set,
        stays.segment,
        spans.next_day
    from stays
    inner join spans
        on
            stays.segment_set = spans.segment_set
            and stays.evaluated_as = spans.evaluated_as
            and stays.valid_from <= spans.as_of_date
            and (stays.valid_to is null or stays.valid_to > spans.as_of_date)

),

differences as {{ materialized() }} (

    select
        coalesce(now_in.as_of_date, before_in.as_of_date) as as_of_date,
        coalesce(now_in.next_day, before_in.next_day) as next_day,
        coalesce(now_in.user_id, before_in.user_id) as user_id,
        coalesce(now_in.segment_set, before_in.segment_set) as segment_set,
        coalesce(now_in.segment, before_in.segment) as segment,
        case when before_in.user_id is null then 1 else -1 end as step
    from now_in
    full outer join before_in
        on
            now_in.as_of_date = before_in.as_of_date
            and now_in.user_id = before_in.user_id
            and now_in.segment_set = before_in.segment_set
            and now_in.segment = before_in.segment
    where now_in.user_id is null or before_in.user_id is null

),

-- The first day of all: everybody is new, and nothing has to be spliced.
first_stays as (

    select
        user_id,
        segment_set,
        segment,
        as_of_date as valid_from,
        cast(null as date) as valid_to
    from differences
    where (select count(*) from evaluations) = 0

),

to_splice as (

    select * from differences
    where (select count(*) from evaluations) > 0

),

changed_keys as (

    select distinct
        user_id,
        segment_set,
        segment
    from to_splice

),

changed_stays as (

    select stays.*
    from stays
    inner join changed_keys
        on
            stays.user_id = changed_keys.user_id
            and stays.segment_set = changed_keys.segment_set
            and stays.segment = changed_keys.segment

),

-- Going in counts 1, going out -1. What is added up on a day is what really happens on it: a piece that begins where
-- another one ends is the same stay.
steps as (

    select
        user_id,
        segment_set,
        segment,
        valid_from as turned_on,
        1 as step
    from changed_stays

    union all

    select
        user_id,
        segment_set,
        segment,
        valid_to as turned_on,
        -1 as step
    from changed_stays
    where valid_to is not null

    union all

    select
        user_id,
        segment_set,
        segment,
        as_of_date as turned_on,
        step
    from to_splice

    union all

    select
        user_id,
        segment_set,
        segment,
        next_day as turned_on,
        -step as step
    from to_splice
    where next_day is not null

),

turns as (

    select
        user_id,
        segment_set,
        segment,
        turned_on,
        sum(step) as step
    from steps
    group by user_id, segment_set, segment, turned_on
    having sum(step) <> 0

),

paired as (

    select
        user_id,
        segment_set,
        segment,
        step,
        turned_on as valid_from,
        lead(turned_on) over (partition by user_id, segment_set, segment order by turned_on) as valid_to
    from turns

),

final as (

    select
        changed_keys.user_id,
        changed_keys.segment_set,
        changed_keys.segment,
        -- Null where no stay is left; the incremental strategy knows.
        paired.valid_from,
        paired.valid_to
    from changed_keys
    left join paired
        on
            changed_keys.user_id = paired.user_id
            and changed_keys.segment_set = paired.segment_set
            and changed_keys.segment = paired.segment
            and paired.step = 1

    union all

    select * from first_stays

)

select * from final
