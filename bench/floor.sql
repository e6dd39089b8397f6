-- The floor: one hand-written DuckDB script that gives int_user_metrics and the memberships, as fast as it can be made.
--
-- It knows one engine and one as-of date, and gives up everything that the project is for: layers, names to read by,
-- other engines, tests. Set these first (tools/bench.py does), in an empty database file:
--   set variable events = '<folder>/events/**/*.parquet'; set variable taxonomy = 'seeds/event_taxonomy.csv';
--   set variable as_of_date = date '2024-06-30';
-- Its input has no users, aliases, feedback or exchange rates.
--
-- What else was tried, in seconds for 10 million events (CPU time of two cores, halved; the machine was in use, so only
-- numbers of one line compare):
--   repeats       this window, one pass, 2.6 · group by hash, then a second pass over the suspects, 3.1 · one sort of
--                 all events and lag() 3.3 · partitions by hash prefix and lag() 6.6
--   leaving out   by place in the file 0.3 · `not in` on hash(event_id) 0.8 · `not exists` on it 3.2
--   half_hours    counts packed into one sum 3.1 · a filtered count each 4.6 · rare events in a pass of their own 4.2 ·
--                 a narrow copy of the events to group from, 2.6 before it is grouped at all
--   deeds         (CPU seconds, 1 million events) 0.5 · where DuckDB chooses which side of a join to hash, and types of
--                 events are text 1.1
--   person rows   narrow copy 0.5 · all columns 1.2
--   sessions      this window 0.8 · rows merged by half hour, joined to the half hour before, 0.9
--   memberships   unnest 0.95 · union all of eleven selects 1.3
-- Not used: uncompressed tables (0.5 less for the memberships), as no warehouse would keep them.

-- What `deeds` below are made of.
create temp type deed as enum (
    'content_view', 'purchase', 'search', 'core_action', 'core_start', 'message_sent', 'message_opened', 'referral',
    'sign_up', 'unsubscribe'
);

-- What each event_name counts for. Six counts of 20 bits are packed into one number, so that one sum counts them all.
create temp table kinds as
with listed as (
    select
        event_name,
        event_type,
        case
            when event_type in ('message_sent', 'refund') then false
            when event_type = 'purchase' then true
            else coalesce(lower(is_activity), 'true') = 'true'
        end as is_activity
    from read_csv(getvariable('taxonomy'), all_varchar = true)
)
select
    event_name,
    event_type,
    is_activity,
    is_activity::hugeint
    + ((event_type = 'purchase')::hugeint << 20)
    + ((event_type = 'support_contact')::hugeint << 40)
    + ((event_type = 'support_view')::hugeint << 60)
    + ((event_type = 'error')::hugeint << 80)
    + ((event_type = 'search')::hugeint << 100) as counts,
    try_cast(event_type as deed) as deed,
    event_type in ('content_view', 'purchase', 'search') as has_word
from listed;

-- Rows that do not count, by their place in the files: of those with one event_id on one day all but the first
-- received. The one pass that reads every event_id.
create temp table repeats as
select place
from (
    select
        file_index * 1000000000::bigint + file_row_number as place,
        row_number() over (partition by hash(event_id, event_at::date) order by received_at, event_at) as delivery
    from read_parquet(getvariable('events'), file_row_number = true)
    where epoch_us(event_at) <= epoch_us(received_at) + 86400000000
)
where delivery > 1;

-- All the rest of what is read of the events: what each pair of ids did in each half hour. Two events of one half hour
-- are never in two sessions, so that sessions can be made of these rows.
create temp table half_hours as
select
    user_key,
    device_key,
    half_hour,
    traits_key,
    min(event_at) as first_event_at,
    max(event_at) as last_event_at,
    min(activity_at) as first_activity_at,
    max(activity_at) as last_activity_at,
    sum(counts) as counts,
    sum(purchase_revenue) as purchase_revenue,
    sum(revenue) as revenue,
    max(purchase_at) as last_purchase_at,
    max(add_to_cart_at) as last_add_to_cart_at,
    max(checkout_start_at) as last_checkout_start_at
from (
    select
        -- Null and empty ids have hashes too; they are sorted out among the fewer rows that come out of here.
        hash(events.user_id) as user_key,
        hash(events.anonymous_id) as device_key,
        (epoch_us(events.event_at) // 1800000000)::integer as half_hour,
        hash(events.country, events.language, events.channel, events.device_type) as traits_key,
        events.event_at,
        case when coalesce(kinds.is_activity, true) then events.event_at end as activity_at,
        coalesce(kinds.counts, 1) as counts,
        case when kinds.event_type = 'purchase' then events.revenue end as purchase_revenue,
        case when kinds.event_type in ('purchase', 'refund') then events.revenue end as revenue,
        case when kinds.event_type = 'purchase' then events.event_at end as purchase_at,
        case when kinds.event_type = 'add_to_cart' then events.event_at end as add_to_cart_at,
        case when kinds.event_type = 'checkout_start' then events.event_at end as checkout_start_at
    from read_parquet(getvariable('events'), file_row_number = true) as events
    left join kinds on events.event_name = kinds.event_name
    where
        events.event_at < getvariable('as_of_date') + 1
        and epoch_us(events.event_at) <= epoch_us(events.received_at) + 86400000000
        and events.event_name <> ''
        and events.file_index * 1000000000::bigint + events.file_row_number not in (select place from repeats)
)
group by user_key, device_key, half_hour, traits_key;

-- The texts behind the hashes.
create temp table users as
select hash(user_id) as user_key, any_value(user_id) as user_id
from read_parquet(getvariable('events'))
where user_id <> ''
group by user_key;

create temp table devices as
select hash(anonymous_id) as device_key, any_value(anonymous_id) as anonymous_id
from read_parquet(getvariable('events'))
where anonymous_id <> ''
group by device_key;

create temp table traits as
select
    hash(country, language, channel, device_type) as traits_key,
    any_value(upper(nullif(country, ''))) as country,
    any_value(lower(nullif(language, ''))) as language,
    any_value(nullif(channel, '')) as channel,
    any_value(lower(nullif(device_type, ''))) as device_type
from read_parquet(getvariable('events'))
group by traits_key;

-- A device's anonymous past belongs to the first user that it was ever identified as.
create temp table owners as
select device_key, arg_min(user_key, (first_seen_at, user_id)) as user_key
from (
    select device_key, user_key, min(first_event_at) as first_seen_at
    from half_hours
    where user_key not in (hash(null), hash('')) and device_key not in (hash(null), hash(''))
    group by device_key, user_key
)
inner join users using (user_key)
group by device_key;

-- Categories and search terms as numbers that sort as their texts do. Texts are normalised here, each once.
create temp table words as
select raw_key, text, dense_rank() over (order by text)::integer as word
from (
    select
        xor(hash(search_query), 1) as raw_key,
        nullif(lower(trim(regexp_replace(search_query, '\s+', ' ', 'g'))), '') as text
    from (select distinct search_query from read_parquet(getvariable('events')))
    union all
    select hash(item_category), nullif(item_category, '')
    from (select distinct item_category from read_parquet(getvariable('events')))
)
where text is not null;

-- What only some events do, and half an hour cannot hold: how often each person did it in each window, four counts of
-- 32 bits in one number; on which of the last 90 days, a bit each; first and last. `word` tells what was viewed, bought
-- or searched for, and of a core action the day, so that rows of it are days.
-- The small side of each join stands on the right, and is the one to be hashed: DuckDB expects fewer events than come.
set disabled_optimizers = 'build_side_probe_side';
create temp table deeds as
select
    person_key,
    deed,
    word,
    sum(windows) as windows,
    bit_or(day_bit) as days_90d,
    max(event_at) as last_event_at,
    max(days_ago) as first_days_ago
from (
    select
        coalesce(
            case when events.user_id <> '' then hash(events.user_id) end,
            owners.user_key,
            xor(hash(events.anonymous_id), 6148914691236517205::ubigint)
        ) as person_key,
        kinds.deed,
        case when kinds.deed = 'core_action' then days_ago else words.word end as word,
        case
            when days_ago < 7 then 1 + (1::hugeint << 32) + (1::hugeint << 64) + (1::hugeint << 96)
            when days_ago < 28 then 1 + (1::hugeint << 32) + (1::hugeint << 64)
            when days_ago < 90 then 1 + (1::hugeint << 32)
            else 1
        end as windows,
        case when days_ago < 90 then 1::hugeint << days_ago end as day_bit,
        events.event_at,
        days_ago
    from (
        select *, (getvariable('as_of_date') - event_at::date)::integer as days_ago
        from read_parquet(getvariable('events'), file_row_number = true)
        where
            event_at < getvariable('as_of_date') + 1
            and epoch_us(event_at) <= epoch_us(received_at) + 86400000000
            and file_index * 1000000000::bigint + file_row_number not in (select place from repeats)
    ) as events
    inner join kinds on events.event_name = kinds.event_name
    left join words
        on
            case
                when kinds.deed = 'search' then xor(hash(search_query), 1)
                when kinds.has_word then hash(item_category)
            end = words.raw_key
    left join owners on hash(events.anonymous_id) = owners.device_key
    where kinds.deed is not null and (not kinds.has_word or (words.word is not null and days_ago < 365))
)
group by person_key, deed, word;

create temp table habits as
with deeds_of_person as (
    select
        person_key,
        bit_or(days_90d) filter (deed = 'core_action') as core_action_days,
        count(*) filter (deed = 'core_action') as core_action_days_lifetime,
        any_value(windows) filter (deed = 'core_start') as core_starts,
        any_value(windows) filter (deed = 'referral') as referrals,
        any_value(windows) filter (deed = 'message_sent') as messages_sent,
        any_value(windows) filter (deed = 'message_opened') as messages_opened,
        any_value(first_days_ago) filter (deed = 'sign_up') as days_since_signed_up,
        any_value(last_event_at) filter (deed = 'sign_up') as last_sign_up_at,
        any_value(last_event_at) filter (deed = 'unsubscribe') as last_unsubscribe_at
    from deeds
    where deed not in ('content_view', 'purchase', 'search')
    group by person_key
)
select
    person_key,
    (core_starts >> 64 & 4294967295)::integer as core_starts_28d,
    bit_count(core_action_days & 268435455)::integer as core_action_days_28d,
    (core_action_days & 127 > 0)::integer
    + (core_action_days & 16256 > 0)::integer
    + (core_action_days & 2080768 > 0)::integer
    + (core_action_days & 266338304 > 0)::integer as core_action_weeks_28d,
    core_action_days_lifetime,
    (referrals & 4294967295)::integer as referrals_lifetime,
    (messages_sent >> 96)::integer as messages_sent_7d,
    (messages_sent >> 64 & 4294967295)::integer as messages_sent_28d,
    (messages_opened >> 64 & 4294967295)::integer as messages_opened_28d,
    days_since_signed_up,
    case
        when last_sign_up_at > last_unsubscribe_at then null
        else (getvariable('as_of_date') - last_unsubscribe_at::date)::integer
    end as days_since_unsubscribed
from deeds_of_person;

create temp table texts as
select word, any_value(text) as text from words group by word;

-- Of everybody's categories and terms the one that leads: weight, last time and word (of equals the first has the
-- largest number) packed into one number, of which the greatest is taken.
create temp table categories as
select
    person_key,
    viewed_90d.text as top_viewed_category_90d,
    viewed_365d.text as top_viewed_category_365d,
    bought_365d.text as top_bought_category_365d
from (
    select
        person_key,
        max((bit_count(days_90d)::hugeint << 84) + when_and_what)
            filter (deed = 'content_view' and (windows >> 32 & 4294967295) >= 3) as viewed_90d,
        max(((windows & 4294967295) << 84) + when_and_what) filter (deed = 'content_view') as viewed_365d,
        max(((windows & 4294967295) << 84) + when_and_what) filter (deed = 'purchase') as bought_365d
    from (
        select *, (epoch_us(last_event_at)::hugeint << 32) + 4294967295 - word as when_and_what
        from deeds
        where deed in ('content_view', 'purchase')
    )
    group by person_key
) as leaders
left join texts as viewed_90d on (4294967295 - (leaders.viewed_90d & 4294967295))::integer = viewed_90d.word
left join texts as viewed_365d on (4294967295 - (leaders.viewed_365d & 4294967295))::integer = viewed_365d.word
left join texts as bought_365d on (4294967295 - (leaders.bought_365d & 4294967295))::integer = bought_365d.word;

-- A term counts from ten people on, and stands behind all that count until then.
create temp table terms as
select person_key, case when leader >> 84 > 0 then texts.text else 'other' end as top_search_term_90d
from (
    select
        person_key,
        max(
            (case when shared.word is null then 0 else bit_count(days_90d) end::hugeint << 84)
            + (epoch_us(last_event_at)::hugeint << 32) + 4294967295 - deeds.word
        ) as leader
    from deeds
    left join (
        select word from deeds where deed = 'search' and days_90d is not null group by word having count(*) >= 10
    ) as shared on deeds.word = shared.word
    where deed = 'search' and days_90d is not null
    group by person_key
)
inner join texts on (4294967295 - (leader & 4294967295))::integer = texts.word;
reset disabled_optimizers;

create temp view whole_person_half_hours as
select
    coalesce(
        case when half_hours.user_key not in (hash(null), hash('')) then half_hours.user_key end,
        owners.user_key,
        -- A device that nobody is known by, and not the user whose id reads the same.
        xor(half_hours.device_key, 6148914691236517205::ubigint)
    ) as person_key,
    half_hours.* exclude (user_key, counts),
    (getvariable('as_of_date') - first_event_at::date)::integer as days_ago,
    (counts & 1048575)::integer as events,
    ((counts >> 20) & 1048575)::integer as purchases,
    ((counts >> 40) & 1048575)::integer as support_contacts,
    ((counts >> 60) & 1048575)::integer as support_views,
    ((counts >> 80) & 1048575)::integer as errors,
    (counts >> 100)::integer as searches
from half_hours
left join owners on half_hours.device_key = owners.device_key;

-- What is read of all rows, copied once; the rest is read of few rows, and costs less to join again than to copy.
create temp table person_half_hours as
select
    person_key, device_key, traits_key, days_ago, first_event_at, last_event_at, first_activity_at, last_activity_at
from whole_person_half_hours;

-- Days of activity, one row a person.
create temp table active as
select
    person_key,
    max(days_ago) as days_since_first_active,
    min(days_ago, 2) as last_two,
    count(*) filter (days_ago < 7) as active_days_7d,
    count(*) filter (days_ago < 28) as active_days_28d,
    count(*) as active_days_lifetime,
    count(*) filter (days_ago < 90 and is_mobile) as mobile_active_days_90d,
    count(*) filter (days_ago < 90 and is_desktop) as desktop_active_days_90d
from (
    select
        person_key,
        days_ago,
        bool_or(traits.device_type in ('mobile', 'tablet')) as is_mobile,
        bool_or(traits.device_type = 'desktop') as is_desktop
    from person_half_hours
    inner join traits using (traits_key)
    where first_activity_at is not null
    group by person_key, days_ago
)
group by person_key;

create temp table sessions as
with spans as (
    select
        person_key,
        device_key,
        days_ago,
        first_activity_at,
        last_activity_at,
        max(last_activity_at) over (
            partition by person_key, device_key order by first_activity_at, last_activity_at
            rows between unbounded preceding and 1 preceding
        ) as previous_activity_at
    from person_half_hours
    where first_activity_at is not null
),
starts as (
    select
        *,
        case when previous_activity_at >= first_activity_at - interval 30 minutes then null else days_ago end
            as started_days_ago
    from spans
),
counted as (
    select
        person_key,
        count(started_days_ago) filter (started_days_ago < 7) as sessions_7d,
        count(started_days_ago) filter (started_days_ago < 28) as sessions_28d,
        count(started_days_ago) as sessions_lifetime
    from starts
    group by person_key
),
-- Only the window's rows can be of sessions that started in it, and only those that follow a start in it are.
timed as (
    select
        person_key,
        sum(
            greatest(
                epoch_us(last_activity_at)
                - epoch_us(case when started_days_ago is null then previous_activity_at else first_activity_at end),
                0
            )
        ) / 1000000.0 as session_seconds_28d
    from (
        select
            *,
            count(started_days_ago) over (
                partition by person_key, device_key order by first_activity_at, last_activity_at
            ) as session_number
        from starts
        where days_ago < 28
    )
    where session_number > 0
    group by person_key
)
select * from counted left join timed using (person_key);

-- The windows of 28 days, of few rows.
create temp table recent as
select
    person_key,
    sum(events) as events_28d,
    sum(revenue) as revenue_28d,
    sum(support_contacts) as support_contacts_28d,
    sum(support_views) as support_views_28d,
    sum(errors) as errors_28d,
    sum(searches) as searches_28d
from whole_person_half_hours
where days_ago < 28
group by person_key;

-- Money and carts, of few rows too.
create temp table shop as
select
    person_key,
    sum(revenue) filter (days_ago < 365) as revenue_365d,
    sum(revenue) as revenue_lifetime,
    max(last_purchase_at) as last_purchase_at,
    max(last_add_to_cart_at) as last_add_to_cart_at,
    max(last_checkout_start_at) as last_checkout_start_at
from whole_person_half_hours
where coalesce(last_add_to_cart_at, last_checkout_start_at, last_purchase_at) is not null or revenue is not null
group by person_key;

create temp table buyers as
with days as (
    select
        person_key,
        days_ago,
        sum(purchases) as purchases,
        sum(purchase_revenue) as revenue,
        max(days_ago) over (partition by person_key) as first_days_ago
    from whole_person_half_hours
    where purchases > 0
    group by person_key, days_ago
),
people as (
    select
        person_key,
        count(*) filter (days_ago < 28) as purchase_days_28d,
        count(*) filter (days_ago < 365) as purchase_days_365d,
        count(*) as purchase_days_lifetime,
        sum(purchases) as purchases_lifetime,
        max(days_ago) as days_since_first_purchase,
        min(days_ago) as days_since_last_purchase,
        case
            when count(*) = 1 then 0
            else sum(revenue) filter (days_ago < first_days_ago) / count(revenue) filter (days_ago < first_days_ago)
        end as avg_purchase_day_revenue_repeat
    from days
    group by person_key
)
select
    people.*,
    1 + 5 * (rank() over (order by days_since_last_purchase desc) - 1) // count(*) over () as r_score,
    1 + 5 * (rank() over (order by purchase_days_lifetime) - 1) // count(*) over () as f_score,
    1 + 5 * (rank() over (order by coalesce(shop.revenue_lifetime, 0)) - 1) // count(*) over () as m_score
from people
inner join shop using (person_key);

create temp table seen as
select
    person_key,
    arg_max(country, (last_seen_at, country)) filter (country is not null) as country,
    arg_max(language, (last_seen_at, language)) filter (language is not null) as language,
    arg_max(device_type, (last_seen_at, device_type)) filter (device_type is not null) as device_type,
    arg_min(channel, (first_seen_at, channel)) filter (channel is not null) as channel
from (
    select person_key, traits_key, min(first_event_at) as first_seen_at, max(last_event_at) as last_seen_at
    from person_half_hours
    group by person_key, traits_key
)
inner join traits using (traits_key)
group by person_key;

create table int_user_metrics as
select
    getvariable('as_of_date') as as_of_date,
    coalesce(users.user_id, 'anon:' || devices.anonymous_id) as user_id,
    active.days_since_first_active,
    active.last_two[1] as days_since_last_active,
    active.last_two[2] - active.last_two[1] as days_between_last_two_active_days,
    active.active_days_7d::integer as active_days_7d,
    active.active_days_28d::integer as active_days_28d,
    active.active_days_lifetime::integer as active_days_lifetime,
    sessions.sessions_7d::integer as sessions_7d,
    sessions.sessions_28d::integer as sessions_28d,
    sessions.sessions_lifetime::integer as sessions_lifetime,
    coalesce(recent.events_28d, 0)::integer as events_28d,
    coalesce(sessions.session_seconds_28d / nullif(sessions.sessions_28d, 0) / 60, 0) as avg_session_minutes_28d,
    active.mobile_active_days_90d::integer as mobile_active_days_90d,
    active.desktop_active_days_90d::integer as desktop_active_days_90d,
    coalesce(buyers.purchase_days_28d, 0)::integer as purchase_days_28d,
    coalesce(buyers.purchase_days_365d, 0)::integer as purchase_days_365d,
    coalesce(buyers.purchase_days_lifetime, 0)::integer as purchase_days_lifetime,
    coalesce(buyers.purchases_lifetime, 0)::integer as purchases_lifetime,
    coalesce(recent.revenue_28d, 0)::decimal(18, 4) as revenue_28d,
    coalesce(shop.revenue_365d, 0)::decimal(18, 4) as revenue_365d,
    coalesce(shop.revenue_lifetime, 0)::decimal(18, 4) as revenue_lifetime,
    buyers.days_since_first_purchase,
    buyers.days_since_last_purchase,
    buyers.avg_purchase_day_revenue_repeat,
    case
        when shop.last_purchase_at >= shop.last_add_to_cart_at then null
        else (getvariable('as_of_date') - shop.last_add_to_cart_at::date)::integer
    end as days_since_abandoned_cart,
    case
        when shop.last_purchase_at >= shop.last_checkout_start_at then null
        else (getvariable('as_of_date') - shop.last_checkout_start_at::date)::integer
    end as days_since_abandoned_checkout,
    buyers.r_score::integer as r_score,
    buyers.f_score::integer as f_score,
    buyers.m_score::integer as m_score,
    coalesce(recent.support_contacts_28d, 0)::integer as support_contacts_28d,
    coalesce(recent.support_views_28d, 0)::integer as support_views_28d,
    coalesce(recent.errors_28d, 0)::integer as errors_28d,
    coalesce(recent.searches_28d, 0)::integer as searches_28d,
    null::integer as last_nps_score,
    null::integer as days_since_last_nps,
    coalesce(habits.core_starts_28d, 0)::integer as core_starts_28d,
    coalesce(habits.core_action_days_28d, 0)::integer as core_action_days_28d,
    coalesce(habits.core_action_weeks_28d, 0)::integer as core_action_weeks_28d,
    coalesce(habits.core_action_days_lifetime, 0)::integer as core_action_days_lifetime,
    coalesce(habits.referrals_lifetime, 0)::integer as referrals_lifetime,
    coalesce(habits.messages_sent_7d, 0)::integer as messages_sent_7d,
    coalesce(habits.messages_sent_28d, 0)::integer as messages_sent_28d,
    coalesce(habits.messages_opened_28d, 0)::integer as messages_opened_28d,
    habits.days_since_unsubscribed,
    habits.days_since_signed_up,
    strftime(getvariable('as_of_date') - habits.days_since_signed_up, '%Y-%m') as signed_up_month,
    categories.top_viewed_category_90d,
    categories.top_viewed_category_365d,
    categories.top_bought_category_365d,
    terms.top_search_term_90d,
    null::varchar as plan,
    seen.country,
    seen.language,
    seen.device_type,
    seen.channel
from active
inner join sessions using (person_key)
inner join seen using (person_key)
left join recent using (person_key)
left join shop using (person_key)
left join buyers using (person_key)
left join habits using (person_key)
left join categories using (person_key)
left join terms using (person_key)
left join users on active.person_key = users.user_key
left join devices on xor(active.person_key, 6148914691236517205::ubigint) = devices.device_key;

-- Every exclusive set is a `case` here: the rows of seg_*.sql, without their proof.
create table memberships as
with segments as (
    select
        user_id,
        case
            when days_since_first_active = 0 then 'new'
            when days_since_last_active = 0 and days_between_last_two_active_days < 7 then 'current'
            when days_since_last_active = 0 and days_between_last_two_active_days < 30 then 'reactivated'
            when days_since_last_active = 0 then 'resurrected'
            when days_since_last_active < 7 then 'at_risk_weekly'
            when days_since_last_active < 30 then 'at_risk_monthly'
            else 'dormant'
        end as lifecycle,
        case
            when active_days_28d >= 21 then 'core'
            when active_days_28d >= 14 then 'regular'
            when active_days_28d >= 7 then 'casual'
            when active_days_28d >= 1 then 'infrequent'
            else 'inactive'
        end as engagement,
        case
            when purchase_days_365d >= 4 then 'frequent_buyer'
            when purchase_days_365d >= 2 then 'repeat_buyer'
            when purchase_days_365d = 1 then 'one_time_buyer'
            when purchase_days_lifetime >= 1 then 'lapsed_buyer'
            when sessions_lifetime >= 2 then 'browser'
            else 'one_time_visitor'
        end as purchase_frequency,
        case
            when r_score = 5 and f_score >= 4 then 'champions'
            when r_score >= 3 and f_score >= 4 then 'loyal'
            when r_score >= 4 and f_score >= 2 then 'potential_loyalist'
            when r_score = 5 then 'new_customer'
            when r_score = 4 then 'promising'
            when r_score = 3 and f_score = 3 then 'needs_attention'
            when r_score = 3 then 'about_to_sleep'
            when f_score = 5 then 'cannot_lose'
            when f_score >= 3 then 'at_risk'
            when f_score >= 1 then 'hibernating'
        end as rfm,
        case when days_since_abandoned_cart between 1 and 7 then 'cart_abandoner' end as cart,
        case when days_since_abandoned_checkout between 1 and 7 then 'checkout_abandoner' end as checkout,
        case when support_views_28d + support_contacts_28d >= 3 then 'frequent_support_visitor' end as support,
        case when errors_28d >= 3 then 'technical_trouble' end as trouble,
        case when errors_28d >= 3 and support_contacts_28d = 0 then 'silent_sufferer' end as silent,
        case
            when mobile_active_days_90d + desktop_active_days_90d = 0 then 'unknown'
            when mobile_active_days_90d >= 4 * desktop_active_days_90d then 'mobile_first'
            when desktop_active_days_90d >= 4 * mobile_active_days_90d then 'desktop_first'
            else 'multi_platform'
        end as platform,
        case
            when core_action_days_lifetime = 0 and days_since_signed_up is null then 'aware'
            when core_action_days_lifetime = 0 then 'signed_up'
            when core_action_days_lifetime <= 2 then 'activated'
            when last_nps_score >= 9 or referrals_lifetime > 0 then 'advocate'
            else 'adopted'
        end as journey,
        case
            when core_action_weeks_28d >= 3 then 'completer'
            when core_action_weeks_28d >= 1 then 'occasional_completer'
            when core_starts_28d > 0 then 'stuck'
            else 'not_started'
        end as core_workflow,
        case
            when days_since_last_nps >= 180 or days_since_last_nps is null then 'unsurveyed'
            when last_nps_score >= 9 then 'promoter'
            when last_nps_score >= 7 then 'passive'
            else 'detractor'
        end as attitude,
        case when plan = 'free' and active_days_28d >= 14 then 'upgrade_ready' end as upgrade,
        case when plan = 'trial' and core_action_days_28d >= 3 then 'trial_converting' end as trial,
        case when active_days_28d >= 7 and purchase_days_lifetime = 0 then 'engaged_nonbuyer' end as nonbuyer,
        case when days_since_last_purchase < 365 and days_since_last_active >= 30 then 'revenue_at_risk' end
            as at_risk,
        case
            when messages_sent_28d = 0 then 'uncontacted'
            when 2 * messages_opened_28d >= messages_sent_28d then 'responsive'
            when messages_sent_28d >= 3 and messages_opened_28d = 0 then 'unresponsive'
            else 'lukewarm'
        end as prompt_response,
        case when messages_sent_7d >= 5 then 'over_contacted' end as over_contacted,
        case
            when (messages_sent_28d >= 3 and messages_opened_28d = 0) or days_since_unsubscribed is not null
                then 'do_not_disturb'
        end as do_not_disturb,
        case
            when sessions_28d = 0 then 'no_sessions'
            when avg_session_minutes_28d < 5 then 'short'
            when avg_session_minutes_28d < 30 then 'medium'
            else 'long'
        end as session_depth,
        case when m_score = 5 then 'high' when m_score >= 3 then 'mid' when m_score >= 1 then 'low' end as value_tier,
        coalesce(country, 'unknown') || ' / ' || coalesce(device_type, 'unknown') as geography_device,
        coalesce(top_viewed_category_90d, 'undecided') as content_affinity,
        coalesce(top_bought_category_365d, top_viewed_category_365d, 'none') as shopping_interest,
        coalesce(top_search_term_90d, 'none') as search_interest,
        coalesce(plan, 'unknown') as plan,
        coalesce(channel, 'unknown') as channel,
        coalesce(language, 'unknown') as language,
        coalesce(country, 'unknown') as country,
        coalesce(device_type, 'unknown') as device,
        coalesce(signed_up_month, 'unknown') as signup_cohort
    from int_user_metrics
),
-- Values of attribute sets that fewer than five people have; in each row one column is one, the others are null.
small as (
    select
        geography_device, content_affinity, shopping_interest, search_interest, plan, channel, language, country,
        device, signup_cohort
    from segments
    group by grouping sets (
        geography_device, content_affinity, shopping_interest, search_interest, plan, channel, language, country,
        device, signup_cohort
    )
    having count(*) < 5
),
folded as (
    select
        * exclude (
            geography_device, content_affinity, shopping_interest, search_interest, plan, channel, language, country,
            device, signup_cohort
        ),
        case when geography_device in (select geography_device from small) then 'other' else geography_device end
            as geography_device,
        case when content_affinity in (select content_affinity from small) then 'other' else content_affinity end
            as content_affinity,
        case when shopping_interest in (select shopping_interest from small) then 'other' else shopping_interest end
            as shopping_interest,
        case when search_interest in (select search_interest from small) then 'other' else search_interest end
            as search_interest,
        case when plan in (select plan from small) then 'other' else plan end as plan,
        case when channel in (select channel from small) then 'other' else channel end as channel,
        case when language in (select language from small) then 'other' else language end as language,
        case when country in (select country from small) then 'other' else country end as country,
        case when device in (select device from small) then 'other' else device end as device,
        case when signup_cohort in (select signup_cohort from small) then 'other' else signup_cohort end
            as signup_cohort
    from segments
)
select
    getvariable('as_of_date') as as_of_date,
    user_id,
    segment_set,
    segment
from (
    -- A user's rows beside each other: the long ids compress in less time than set after set.
    select
        user_id,
        unnest([
            'lifecycle', 'engagement', 'purchase_frequency', 'rfm', 'cart', 'cart', 'support', 'support', 'support',
            'journey', 'core_workflow', 'attitude', 'monetization', 'monetization', 'monetization', 'monetization',
            'prompt_response', 'contact_pressure', 'contact_pressure', 'platform', 'geography_device', 'session_depth',
            'content_affinity', 'shopping_interest', 'search_interest', 'value_tier', 'plan', 'channel', 'language',
            'country', 'device', 'signup_cohort'
        ]) as segment_set,
        unnest([
            lifecycle, engagement, purchase_frequency, rfm, cart, checkout, support, trouble, silent,
            journey, core_workflow, attitude, upgrade, trial, nonbuyer, at_risk,
            prompt_response, over_contacted, do_not_disturb, platform, geography_device, session_depth,
            content_affinity, shopping_interest, search_interest, value_tier, plan, channel, language,
            country, device, signup_cohort
        ]) as segment
    from folded
)
where segment is not null;
