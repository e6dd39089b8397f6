"""The sample is the same bytes on every machine, and has in it what the rest of the project is tried on."""

import csv
import os
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "seeds" / "sample"
TABLES = ["events", "users", "aliases", "feedback", "exchange_rates"]
FIRST_DAY, LAST_DAY = date(2024, 1, 2), date(2024, 6, 29)
EVENT_TYPES = {
    "page_view", "content_view", "search", "sign_up", "login", "core_start", "core_action", "add_to_cart",
    "checkout_start", "purchase", "refund", "support_contact", "support_view", "error", "message_sent",
    "message_opened", "message_clicked", "unsubscribe", "referral", "other",
}


def read(path: Path) -> list[dict]:
    """Give the rows of a CSV file as dicts of text."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def moment(text: str) -> datetime | None:
    """Give the time that a text says, or nothing where it says none."""
    try:
        return datetime.fromisoformat(text.removesuffix("Z"))
    except ValueError:
        return None


def rejection(row: dict) -> str:
    """Name why a row is to be rejected; empty for a clean one."""
    for column in ("event_id", "event_name"):
        if not row[column]:
            return column
    happened, received = moment(row["event_at"]), moment(row["received_at"])
    if not happened:
        return "event_at"
    if not row["user_id"] and not row["anonymous_id"]:
        return "person"
    return "future" if received and happened - received > timedelta(days=1) else ""


def generate(folder: Path, hash_seed: str, *arguments: str) -> str:
    """Run the command line tool as a user would, and give what it prints."""
    command = [sys.executable, str(ROOT / "tools" / "sample.py"), "--out", str(folder), *arguments]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def events() -> list[dict]:
    """All rows of the events, dirt included."""
    return read(SAMPLE / "events.csv")


@pytest.fixture(scope="module")
def clean(events) -> list[dict]:
    """The rows that staging keeps or finds to be duplicates."""
    return [row for row in events if not rejection(row)]


@pytest.fixture(scope="module")
def taxonomy() -> dict[str, dict]:
    """The taxonomy, by event name."""
    return {row["event_name"]: row for row in read(ROOT / "seeds" / "event_taxonomy.csv")}


@pytest.fixture(scope="module")
def by_type(clean, taxonomy) -> dict[str, list[dict]]:
    """The clean rows, by event type."""
    rows = defaultdict(list)
    for row in clean:
        rows[taxonomy[row["event_name"]]["event_type"]].append(row)
    return rows


def test_two_runs_give_the_bytes_that_are_kept(tmp_path):
    for hash_seed in ("0", "1"):
        generate(tmp_path / hash_seed, hash_seed)
        assert {file.stem for file in (tmp_path / hash_seed).iterdir()} == set(TABLES)
        for name in TABLES:
            made, kept = tmp_path / hash_seed / f"{name}.csv", SAMPLE / f"{name}.csv"
            assert made.read_bytes() == kept.read_bytes(), f"{name}.csv: run `python tools/sample.py`, keep the result"


def test_another_seed_gives_another_sample_of_the_same_size(tmp_path):
    line = generate(tmp_path, "0", "--seed", "8")
    assert len(line.splitlines()) == 1
    assert (tmp_path / "events.csv").read_bytes() != (SAMPLE / "events.csv").read_bytes()
    assert 19_000 <= len(read(tmp_path / "events.csv")) <= 21_000


def test_files_are_small_and_plain():
    for name in TABLES:
        content = (SAMPLE / f"{name}.csv").read_bytes()
        assert b"\r" not in content and content.endswith(b"\n") and not content.startswith(b"\xef\xbb\xbf")
        assert len(content) <= 3_000_000


def test_size_and_days(events, clean):
    assert 19_000 <= len(events) <= 21_000
    known = {row["user_id"] for row in events if row["user_id"].startswith("u_")}
    assert 500 <= len(known) <= 1_000
    days = {moment(row["event_at"]).date() for row in clean}
    assert max(days) == LAST_DAY
    assert len([day for day in days if day >= FIRST_DAY]) == 180 and date(2024, 2, 29) in days


def test_taxonomy_lists_every_event_once_and_uses_every_type(events, taxonomy):
    assert len(read(ROOT / "seeds" / "event_taxonomy.csv")) == len(taxonomy)
    assert {row["event_name"] for row in events} - {""} == set(taxonomy)
    assert {row["event_type"] for row in taxonomy.values()} == EVENT_TYPES
    for row in taxonomy.values():
        assert row["is_activity"] in ("true", "false")
        assert row["event_type"] not in ("message_sent", "refund") or row["is_activity"] == "false"
        assert row["event_type"] != "purchase" or row["is_activity"] == "true"


def test_every_event_type_occurs(by_type):
    assert {name: len(rows) for name, rows in by_type.items() if len(rows) < 20} == {}
    assert set(by_type) == EVENT_TYPES


def test_rejects(events):
    reasons = Counter(rejection(row) for row in events)
    del reasons[""]
    assert reasons == {"event_id": 12, "event_name": 10, "person": 15, "event_at": 9, "future": 8}
    assert {"yesterday", ""} < {row["event_at"] for row in events if rejection(row) == "event_at"}
    future = [moment(row["event_at"]).date() for row in events if rejection(row) == "future"]
    assert any(day > LAST_DAY for day in future), "a wrong clock must not move the newest day"


def test_duplicates(clean):
    copies = Counter(tuple(row.values()) for row in clean)
    assert sum(count - 1 for count in copies.values()) == 120
    same_day = Counter((row["event_id"], row["event_at"][:10]) for row in clean)
    assert sum(count - 1 for count in same_day.values()) == 120 + 150
    days_of_id = Counter(event_id for event_id, _ in same_day)
    assert sum(count > 1 for count in days_of_id.values()) == 6


def test_late_events_and_clocks(clean):
    timed = [row for row in clean if row["received_at"]]
    delays = [moment(row["received_at"]) - moment(row["event_at"]) for row in timed]
    assert sum(delay >= timedelta(days=2, minutes=2) for delay in delays) >= 180
    assert max(delays) <= timedelta(days=20)
    assert sum(delay < timedelta(0) for delay in delays) == 12
    assert max(row["received_at"] for row in timed) <= "2024-06-30T06:00:00Z"


def test_values_that_do_not_parse(clean):
    assert sum("," in row["revenue"] for row in clean) == 4
    assert sum(row["quantity"] == "two" for row in clean) == 4
    assert 1 <= sum(row["birth_year"] == "n/a" for row in read(SAMPLE / "users.csv")) <= 5


def test_text_that_breaks_careless_readers(events):
    searches = Counter(row["search_query"] for row in events)
    assert searches["🍕"] and searches['"best" ragù'] and searches["eggs\nmilk\nflour"]
    assert any('\\"' in row["properties"] for row in events)
    comments = [row["comment"] for row in read(SAMPLE / "feedback.csv")]
    assert any("\n" in text for text in comments) and any('"' in text for text in comments)


def test_people_and_devices(clean):
    devices, users = defaultdict(set), defaultdict(set)
    before_login, first_login = set(), {}
    for row in sorted(clean, key=lambda row: row["event_at"]):
        device, user = row["anonymous_id"], row["user_id"]
        if device and user:
            devices[user].add(device)
            users[device].add(user)
            first_login.setdefault(device, user)
        elif device and device not in first_login:
            before_login.add(device)
    previous = {row["previous_id"] for row in read(SAMPLE / "aliases.csv")}
    assert len(before_login & set(first_login)) >= 300, "anonymous before login on the same device"
    assert len(before_login - set(first_login)) >= 150, "visitors who never log in"
    assert sum(len(own) > 1 for own in devices.values()) >= 80
    assert sum(len(owners - previous) > 1 for owners in users.values()) >= 3, "shared devices"
    assert len({row["country"] for row in clean if row["country"]}) >= 12
    assert {"web", "ios", "android", "server"} == {row["platform"] for row in clean}
    assert {"desktop", "mobile", "tablet", ""} == {row["device_type"] for row in clean}


def test_a_bot_is_one_long_session_and_some_sessions_cross_midnight(clean):
    by_device = defaultdict(list)
    for row in clean:
        by_device[row["anonymous_id"]].append(moment(row["event_at"]))
    longest, crossing = timedelta(0), 0
    for device, times in by_device.items():
        if not device:
            continue
        times.sort()
        start = times[0]
        for before, after in zip(times, times[1:]):
            if after - before > timedelta(minutes=30):
                start = after
            elif after.date() > before.date():
                crossing += 1
            longest = max(longest, after - start)
    assert longest >= timedelta(hours=48)
    assert crossing >= 10


def test_orders_and_money(by_type):
    orders = by_type["purchase"]
    currencies = Counter(row["currency"] for row in orders)
    assert min(currencies[code] for code in ("USD", "EUR", "GBP")) >= 50
    assert 1 <= currencies["SEK"] <= 20 and currencies[""] >= 5
    old = [row for row in orders if row["event_at"] < FIRST_DAY.isoformat()]
    assert len(old) == 20 and {row["received_at"] for row in old} == {""}
    refunds = by_type["refund"]
    assert len(refunds) >= 20 and all(float(row["revenue"]) < 0 for row in refunds)
    for name in ("refund", "message_sent"):
        assert {(row["platform"], row["anonymous_id"]) for row in by_type[name]} == {("server", "")}


def test_exchange_rates_cover_every_day():
    rates = read(SAMPLE / "exchange_rates.csv")
    days = {(FIRST_DAY + timedelta(days=day)).isoformat() for day in range(180)}
    assert len(rates) == 360
    for currency in ("EUR", "GBP"):
        assert {row["day"] for row in rates if row["currency"] == currency} == days


def test_a_search_term_is_shared(clean):
    people = defaultdict(set)
    for row in clean:
        if row["search_query"] and row["event_at"] >= "2024-04-01":
            people[row["search_query"].strip().lower()].add(row["user_id"] or row["anonymous_id"])
    assert sum(len(group) >= 10 for group in people.values()) >= 5
    assert any(len(group) < 10 for group in people.values())


def test_users_history(events):
    rows = read(SAMPLE / "users.csv")
    plans = defaultdict(list)
    for row in rows:
        plans[row["user_id"]].append(row["plan"])
    assert {"free", "trial", "plus"} == {row["plan"] for row in rows}
    assert sum(len(history) > 1 for history in plans.values()) >= 40
    assert any(history[-2:] == ["plus", "free"] for history in plans.values()), "somebody cancelled"
    known = {row["user_id"] for row in events if row["user_id"].startswith("u_")}
    assert set(plans) <= known and len(known - set(plans)) >= 20
    for column in ("updated_at", "country", "channel", "signed_up_at", "birth_year"):
        assert sum(not row[column] for row in rows) >= 5


def test_aliases_have_one_chain_and_no_cycle(events):
    links = {row["previous_id"]: row["user_id"] for row in read(SAMPLE / "aliases.csv")}
    chains = [previous for previous, user in links.items() if user in links]
    assert len(links) == 7 and len(chains) == 1
    assert links[links[chains[0]]] not in links
    assert set(links) <= {row["user_id"] for row in events}


def test_feedback(events):
    rows = read(SAMPLE / "feedback.csv")
    kinds = Counter(row["kind"] for row in rows)
    assert set(kinds) == {"nps", "csat", "ces"} and min(kinds.values()) >= 20
    scores = [int(row["score"]) for row in rows if row["kind"] == "nps"]
    bands = Counter("promoter" if score >= 9 else "passive" if score >= 7 else "detractor" for score in scores)
    assert min(bands.values()) >= 20 and len(bands) == 3
    assert all(0 <= score <= 10 for score in scores)
    assert len({row["feedback_id"] for row in rows}) == len(rows)
    assert {row["user_id"] for row in rows} <= {row["user_id"] for row in events}
