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
with user_segments as (

    select
        as_of_date,
        user_id,
        combination_key
    from {{ ref('int_user_segments') }}

),

segments as (

    select
        as_of_date,
        combination_key,
        segment_set,
        segment,
        -- A flag stands for itself, a value for its whole set.
        {{ evaluated_as() }} as evaluated_as
    from {{ ref('int_combination_segments') }}

),

evaluations as (

    select * from {{ source('runs', 'evaluations') }}
    where segment_set <> 'all'

),

-- Attribute sets that the project no longer has: what they were, only the evaluations say.
removed_attribute_sets as (

    select distinct segment_set as removed_set
    from evaluations
    where segment = 'all' and {{ set_group('segment_set') }} = 0

),

history as (

    {% if is_incremental() -%}
    select
        user_id,
        segment_set,
        segment,
        valid_from,
        valid_to
    from {{ this }}
    {%- else -%}
    select
        user_segments.user_id,
        segments.segment_set,
        segments.segment,
        segments.as_of_date as valid_from,
        segments.as_of_date as valid_to
    from user_segments
    cross join segments
    where 1 = 0
    {%- endif %}

),

stays as (

    select
        history.user_id,
        history.segment_set,
        history.segment,
        case
            when removed_attribute_sets.removed_set is not null then 'all'
            else {{ evaluated_as('history') }}
        end as evaluated_as,
        history.valid_from,
        history.valid_to
    from history
    left join removed_attribute_sets
        on history.segment_set = removed_attribute_sets.removed_set

),

days as {{ once() }} (

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
    union distinct
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

evaluated_segments as {{ once() }} (

    select
        segments.as_of_date,
        segments.combination_key,
        segments.segment_set,
        segments.segment,
        spans.next_day
    from segments
    inner join spans
        on
            segments.as_of_date = spans.as_of_date
            and segments.segment_set = spans.segment_set
            and segments.evaluated_as = spans.evaluated_as

),

-- What a user is in as one number: most users are in what they were in, and need not be looked at segment by segment.
numbers_of_combinations as (

    select
        as_of_date,
        combination_key,
        {{ sum_of_hashes(hash64_of_all(['segment_set', 'segment'])) }} as all_segments
    from evaluated_segments
    group by as_of_date, combination_key

),

numbers_now as (

    select
        user_segments.as_of_date,
        user_segments.user_id,
        numbers_of_combinations.all_segments
    from user_segments
    inner join numbers_of_combinations
        on
            user_segments.as_of_date = numbers_of_combinations.as_of_date
            and user_segments.combination_key = numbers_of_combinations.combination_key

),

-- Against it: of a user who is in what they were in nothing is left.
numbers_before as (

    select
        spans.as_of_date,
        stays.user_id,
        -{{ sum_of_hashes(hash64_of_all(['stays.segment_set', 'stays.segment'])) }} as all_segments
    from stays
    inner join spans
        on
            stays.segment_set = spans.segment_set
            and stays.evaluated_as = spans.evaluated_as
            and stays.valid_from <= spans.as_of_date
            and (stays.valid_to is null or stays.valid_to > spans.as_of_date)
    group by spans.as_of_date, stays.user_id

),

numbers as (

    select * from numbers_now
    union all
    select * from numbers_before

),

changed_users as {{ materialized() }} (

    select
        as_of_date,
        user_id
    from numbers
    group by as_of_date, user_id
    having {{ sum_of_hashes('all_segments') }} <> 0

),

-- In full before what they are in is looked up: a planner that takes them for many looks it up for everybody.
combinations_of_changed_users as {{ materialized() }} (

    select
        user_segments.as_of_date,
        user_segments.user_id,
        user_segments.combination_key
    from user_segments
    inner join changed_users
        on user_segments.as_of_date = changed_users.as_of_date and user_segments.user_id = changed_users.user_id

),

stays_of_changed_users as {{ materialized() }} (

    select * from stays
    where user_id in (select changed_users.user_id from changed_users)

),

now_in as (

    select
        users.as_of_date,
        users.user_id,
        evaluated_segments.segment_set,
        evaluated_segments.segment,
        evaluated_segments.next_day
    from combinations_of_changed_users as users
    inner join evaluated_segments
        on
            users.as_of_date = evaluated_segments.as_of_date
            and users.combination_key = evaluated_segments.combination_key

),

before_in as (

    select
        changed_users.as_of_date,
        stays.user_id,
        stays.segment_set,
        stays.segment,
        spans.next_day
    from stays_of_changed_users as stays
    inner join changed_users
        on stays.user_id = changed_users.user_id
    inner join spans
        on
            changed_users.as_of_date = spans.as_of_date
            and stays.segment_set = spans.segment_set
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

changed_stays as {{ once() }} (

    select stays.*
    from stays_of_changed_users as stays
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
