"""Write events for the benchmark: any number of them, as a product of that size would have collected them in a year.

    python tools/bench_events.py OUT [--events 10000000]

The result is OUT/events/<month>.parquet, a folder that RAW_DATA can name. The same number gives the same rows on any
machine: every draw is a hash of what it is drawn for, and there is no clock. DuckDB does the work, a month at a time:
10 million events take less than a minute, and memory is that of one month.

Who sends them, a person for every 40 events, most of them rarely seen and a few all the time:

- one to four devices a person; each is anonymous at first, logs in during its first or a later session (`logged_in`),
  and is recognised from then on, but for sessions in which the person has logged out;
- one person in five never logs in; the others sign up on their first device (`signed_up` in place of `logged_in`), and
  one in five of their further devices signs up once more;
- refunds, mails and pushes come from the server: they have a user_id and no anonymous_id;
- everybody has a category that most of what they look at, cook and buy is of;
- one search in ten is in words of the person's own, the others are for terms that many search for, and one in three of
  all is typed with capitals and with spaces too many.

What is wrong with them, as in real data:

- 4 in 1,000 are delivered twice, half of those word for word, the others with a later received_at;
- 1 in 10,000 carries an event_id that others carry too, mostly on other days;
- 1 in 100 arrives up to three days late.
"""

from __future__ import annotations

import argparse
import shutil
import time
from datetime import date, timedelta
from pathlib import Path

import duckdb

FIRST_DAY, DAYS = date(2023, 7, 2), 365
LAST_DAY = FIRST_DAY + timedelta(days=DAYS - 1)
EVENTS_A_PERSON = 40
# A session has 1 + floor(exponential with this mean) events: 1 + 1 / (e^(1 / mean) - 1) on average.
SESSION_LENGTH = 5.2
EVENTS_A_SESSION = 5.716
COPIES_A_MILLION = 4000

# The share of each event_name of seeds/event_taxonomy.csv, in 1,000. `logged_in` or `signed_up` is sent where a device
# logs in.
SHARES = {
    "page_viewed": 300, "recipe_viewed": 190, "search_performed": 90, "app_opened": 60, "cook_started": 60,
    "meal_cooked": 50, "box_added_to_cart": 50, "checkout_started": 30, "order_completed": 22, "order_refunded": 2,
    "help_article_viewed": 12, "support_chat_opened": 6, "error_shown": 18, "email_sent": 20, "email_opened": 10,
    "settings_opened": 30, "timer_set": 20, "box_viewed": 15, "push_sent": 9, "push_opened": 3, "friend_invited": 2,
    "unsubscribed": 1,
}  # fmt: skip

# A number in [0, 1) for any integer, another one for every purpose. DuckDB's hash of two values is the xor of their
# hashes, which would make the purposes depend on each other: hence the hash of a hash.
DRAW = "create macro draw(x, purpose) as (hash(xor(x::ubigint, hash(purpose))) >> 11) / 9007199254740992.0"

SESSIONS = """
create temp table sessions as
with drawn as (
    select
        s as session_number,
        -- The cube makes a few people come all the time.
        floor(power(draw(s, 'person'), 3) * {people})::bigint as person,
        -- Steps of the golden ratio fill the range evenly, so that the number of events is the one asked for.
        1 + floor(-ln(1 - (s * 0.6180339887498949) % 1) * {session_length})::integer as events,
        draw(s, 'day') as which_day,
        draw(s, 'second') as which_second,
        draw(s, 'device') as which_device
    from range({sessions}) as numbers (s)
),
placed as (
    select
        *,
        person * 4 + floor(which_device * (1 + 3 * draw(person, 'devices')))::bigint as device,
        -- A person turns up one day and stays for a while, from a week to a year; whoever would stay beyond the last
        -- day was there in the first ones instead. So every day has as many events as any other.
        floor(
            {days} * draw(person, 'first day') + which_day * (7 + ({days} - 7) * power(draw(person, 'stay'), 3))
        )::integer % {days} as day
    from drawn
),
visits as (
    select
        *,
        row_number() over (partition by device order by day, which_second, session_number) as visit,
        case
            when draw(person, 'never logs in') < 0.2 then null
            else 1 + floor(-ln(1 - draw(device, 'login')))
        end as login_visit,
        1 + floor(4 * draw(device, 'kind'))::integer as kind
    from placed
)
select
    session_number,
    person,
    device,
    kind,
    events,
    timestamp '{first_day}' + to_days(day) + to_microseconds(floor(which_second * 86400e6)::bigint) as started_at,
    -- Seconds from one event to the next; in the slowest sessions more than 30 minutes.
    15 - 90 * ln(1 - draw(session_number, 'pace')) as pace,
    -- A look around first, in most cases.
    case when visit = login_visit then floor(draw(device, 'login event') * least(events, 5))::integer end
        as login_event,
    -- From the login on, but in one later session of eight.
    visit = login_visit or (visit > login_visit and draw(session_number, 'logged out') > 0.125) as is_known
from visits
"""

MONTH = """
copy (
    with described as (
        -- What is the same for the whole of a session.
        select
            session_number,
            person,
            events,
            started_at,
            pace,
            login_event,
            case when device % 4 = 0 or draw(device, 'signs up again') < 0.2 then 'signed_up' else 'logged_in' end
                as login_name,
            case when is_known then md5('person' || person)::uuid::varchar end as session_user_id,
            md5('device' || device)::uuid::varchar as anonymous_id,
            ['web', 'ios', 'android', 'web'][kind] as platform,
            ['desktop', 'mobile', 'mobile', 'tablet'][kind] as device_type,
            ['Windows', 'iOS', 'Android', 'iPadOS'][kind] as os,
            case
                -- Abroad, for once.
                when draw(session_number, 'travels') < 0.02 then 'CH'
                else ['US', 'DE', 'FR', 'GB', 'NL', 'ES', 'IT', 'SE', 'PL', 'BR', 'IN', 'JP'][
                    1 + floor(12 * power(draw(person, 'country'), 2))::integer
                ]
            end as country,
            ['en', 'de', 'fr', 'es', 'pt'][1 + floor(5 * power(draw(person, 'language'), 2))::integer] as language,
            ['organic', 'paid', 'email', 'referral'][
                1 + floor(4 * draw(session_number, 'channel'))::integer
            ] as channel
        from sessions
        where started_at >= '{month}' and started_at < timestamp '{month}' + interval 1 month
    ),
    clicks as (
        select
            *,
            case when k >= coalesce(login_event, 0) then session_user_id end as user_id,
            session_number * 1000 + k as event,
            draw(session_number * 1000 + k, 'name') * {all_shares} as which_name,
            started_at + to_microseconds(
                ((k + 0.9 * draw(session_number * 1000 + k, 'moment')) * pace * 1000000)::bigint
            ) as event_at
        from described, unnest(range(events)) as clicks (k)
    ),
    named as (
        select
            *,
            case when k = login_event then login_name {names} end as event_name
        from clicks
    ),
    sent as (
        select
            *,
            event_name in ('order_refunded', 'email_sent', 'push_sent') and user_id is not null as from_server,
            -- A network is slow for seconds, a phone is off for days.
            event_at + to_microseconds((
                1000000 * (0.2 + 20 * draw(event, 'network'))
                + case when draw(event, 'late') < 0.01 then 3 * 86400e6 * draw(event, 'how late') else 0 end
            )::bigint) as received_at,
            case
                when draw(event, 'own words') < 0.1 then 'what ' || person || ' wants'
                else 'term ' || floor(500 * power(draw(event, 'term'), 2))::integer
            end as term,
            case when draw(event, 'delivered twice') < {copies} / 1000000.0 then 2 else 1 end as deliveries
        from named
    )
    select
        md5(case
            when draw(event, 'reused id') < 0.0001 then 'reused' || floor(draw(event, 'which id') * {reused_ids})
            else 'event' || event
        end)::uuid::varchar as event_id,
        event_name,
        event_at,
        case
            when delivery = 1 and draw(event, 'word for word') < 0.5
                then received_at + to_microseconds((86400e6 * draw(event, 'second delivery'))::bigint)
            else received_at
        end as received_at,
        user_id,
        case when not from_server then anonymous_id end as anonymous_id,
        case when from_server then 'server' else platform end as platform,
        case when not from_server then device_type end as device_type,
        case when not from_server then os end as os,
        case when not from_server then country end as country,
        case when not from_server then language end as language,
        case when not from_server then channel end as channel,
        case when event_name = 'page_viewed' then '/page/' || floor(200 * power(draw(event, 'page'), 2))::integer end
            as page_path,
        case
            when event_name in (
                'recipe_viewed', 'box_viewed', 'cook_started', 'meal_cooked', 'box_added_to_cart', 'order_completed'
            )
                then ['soup', 'salad', 'pasta', 'curry', 'cake'][
                    1 + floor(
                        5 * case
                            when draw(event, 'as usual') < 0.5 then draw(person, 'usual category')
                            else draw(event, 'category')
                        end
                    )::integer
                ]
        end as item_category,
        case
            when event_name <> 'search_performed' then null
            when draw(event, 'typing') < 1 / 3.0 then '  ' || upper(replace(term, ' ', '  '))
            else term
        end as search_query,
        case when event_name = 'order_completed' then 1 + floor(3 * draw(event, 'quantity'))::integer end as quantity,
        case
            when event_name = 'order_completed' then cast(10 + 90 * draw(event, 'revenue') as decimal(18, 2))
            when event_name = 'order_refunded' then cast(-10 - 20 * draw(event, 'revenue') as decimal(18, 2))
        end as revenue,
        case when event_name in ('order_completed', 'order_refunded') then 'USD' end as currency,
        case
            when event_name in ('recipe_viewed', 'cook_started')
                then '{{"recipe": ' || floor(5000 * power(draw(event, 'recipe'), 2))::integer || '}}'
        end as properties
    from sent, unnest(range(deliveries)) as deliveries (delivery)
    order by received_at, event, delivery
) to '{file}' (format parquet)
"""


def write_events(folder: Path, events: int) -> None:
    """Writes `events` events (within 1 % from a thousand on) to folder/events/<month>.parquet,
    replacing what is there. Raises ValueError for fewer than one."""
    if events < 1:
        raise ValueError(f"cannot write {events} events; ask for 1 or more")
    target = folder / "events"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)

    con = duckdb.connect()
    con.execute(DRAW)
    con.execute(
        SESSIONS.format(
            people=max(1, events // EVENTS_A_PERSON),
            sessions=max(1, round(events / EVENTS_A_SESSION / (1 + COPIES_A_MILLION / 1e6))),
            session_length=SESSION_LENGTH,
            days=DAYS,
            first_day=FIRST_DAY,
        )
    )
    months = con.execute("select distinct date_trunc('month', started_at)::date from sessions order by 1").fetchall()
    for (month,) in months:
        con.execute(
            MONTH.format(
                month=month,
                names=names_by_share(),
                all_shares=sum(SHARES.values()),
                # A single event is one row, not perhaps two.
                copies=COPIES_A_MILLION if events > 1 else 0,
                reused_ids=max(1, events // 50_000),
                file=str(target / f"{month:%Y-%m}.parquet").replace("'", "''"),
            )
        )
    con.close()


def names_by_share() -> str:
    """The branches of a `case` that turn a number below the sum of SHARES into an event_name."""
    branches, upper = [], 0
    for name, share in SHARES.items():
        upper += share
        branches.append(f"when which_name < {upper} then '{name}'")
    return " ".join(branches)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write events for the benchmark.")
    parser.add_argument("folder", type=Path, help="where the folder `events` is made (RAW_DATA)")
    parser.add_argument("--events", type=int, default=10_000_000, help="how many (default: %(default)s)")
    arguments = parser.parse_args()
    started = time.monotonic()
    write_events(arguments.folder, arguments.events)
    print(f"{arguments.events} events in {arguments.folder / 'events'}, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
