"""What the metrics are, in plain Python: an independent second way to the numbers of int_user_metrics.

Written from the design's words on events, people, sessions and time and from the list of metrics, not from the SQL:
a mistake would have to be made twice, in two languages, to go unnoticed. Slow, short and obvious on purpose.

Decisions that the words leave open, and that both ways take:
- an exchange rate counts for exactly its currency and local day, the largest where a day has several, none that is
  not above zero;
- of two values of a trait seen in the same microsecond the one that sorts last counts, for the channel (the first one
  seen) the one that sorts first;
- a device that was identified as two users in the same microsecond belongs to the one that sorts first;
- an id aliased twice follows the later alias, one without a time is the earliest;
- the row of users in force is the last updated, then the one that sorts last by user_id, plan, country, language,
  channel, signed_up_at (a missing value first); a sign-up that it tells of ahead of time is none yet;
- a sign-up in the very instant of an unsubscribe does not take it back;
- of categories and terms that lead equally, the one met last counts, then the one that sorts first;
- a purchase day none of whose purchases has a known revenue has no total, and is left out of the mean.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

Row = dict[str, str | None]

EVENT_COLUMNS = (
    "event_id", "event_name", "event_at", "received_at", "user_id", "anonymous_id", "session_id", "platform",
    "device_type", "os", "country", "language", "channel", "page_path", "referrer", "item_category", "search_query",
    "quantity", "revenue", "currency", "properties",
)  # fmt: skip
MONEY = Decimal("0.0001")
MOMENT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(Z|[+-]\d\d(?::\d\d)?)?)?"
)


@dataclass(frozen=True)
class Raw:
    """The raw rows of all inputs, each value as text or None, as a CSV file gives them."""

    events: list[Row] = field(default_factory=list)
    users: list[Row] = field(default_factory=list)
    aliases: list[Row] = field(default_factory=list)
    feedback: list[Row] = field(default_factory=list)
    exchange_rates: list[Row] = field(default_factory=list)
    event_taxonomy: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Settings:
    """What a project sets: the reporting time zone and currency; and when the run started (UTC)."""

    zone: str = "UTC"
    currency: str = "USD"
    run_started: datetime = datetime(2030, 1, 1)

    def day(self, moment: datetime) -> date:
        """The date of a moment (UTC) in the reporting time zone."""
        return local_day(moment, self.zone)


@dataclass(frozen=True)
class Event:
    """A clean event, counted once."""

    id: str
    type: str
    is_activity: bool
    at: datetime
    day: date
    user: str | None
    device: str | None
    device_type: str | None
    country: str | None
    language: str | None
    channel: str | None
    item_category: str | None
    search_term: str | None
    revenue: Decimal | None


@dataclass(frozen=True)
class Session:
    """A visit, in the events that it is made of."""

    events: tuple[Event, ...]

    @property
    def day(self) -> date:
        return self.events[0].day

    @property
    def minutes(self) -> float:
        return (self.events[-1].at - self.events[0].at) / timedelta(minutes=1)


@lru_cache(maxsize=None)
def local_day(moment: datetime, zone: str) -> date:
    """The date of a moment (UTC) in a time zone."""
    return moment.replace(tzinfo=timezone.utc).astimezone(ZoneInfo(zone)).date()


@lru_cache(maxsize=None)
def moment_of(text: str | None) -> datetime | None:
    """The UTC time that a text says (without an offset it is UTC), or None where it says none."""
    found = MOMENT.fullmatch(text or "")
    if not found:
        return None
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    try:
        moment = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0),
            int((fraction or "0").ljust(6, "0")),
        )  # fmt: skip
    except ValueError:
        return None
    if offset and offset != "Z":
        hours, _, minutes = offset[1:].partition(":")
        ahead = timedelta(hours=int(hours), minutes=int(minutes or 0))
        return moment + ahead if offset[0] == "-" else moment - ahead
    return moment


def decimal_of(text: str | None) -> Decimal | None:
    """The number that a text says, or None where it says none."""
    try:
        number = Decimal(text or "")
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def rounded(number: Decimal) -> Decimal:
    """An amount of money, to four places."""
    return number.quantize(MONEY, rounding=ROUND_HALF_UP)


def money_of(text: str | None) -> Decimal | None:
    """The amount of money that a text says, or None where it says none."""
    number = decimal_of(text)
    return None if number is None else rounded(number)


def whole_of(text: str | None) -> int | None:
    """The whole number that a text says, or None where it says none."""
    number = money_of(text)
    return None if number is None or number != number.to_integral_value() else int(number)


def nulls_last(values: Iterable[Any]) -> tuple:
    """A sort key: by value, a missing one after all others."""
    return tuple((value is None, "" if value is None else value) for value in values)


def nulls_first(values: Iterable[Any]) -> tuple:
    """A sort key: by value, a missing one before all others."""
    return tuple((value is not None, "" if value is None else value) for value in values)


# Events -------------------------------------------------------------------------------------------------------------


def rejection_reason(row: Row, settings: Settings) -> str | None:
    """Why a raw event cannot be used, or None for a clean one."""
    if not (row["event_id"] or row["event_name"] or row["user_id"] or row["anonymous_id"]) and row["event_at"] is None:
        return "unreadable or empty row"
    if not row["event_id"]:
        return "no event_id"
    if not row["event_name"]:
        return "no event_name"
    if row["event_at"] is None:
        return "no event_at"
    happened, received = moment_of(row["event_at"]), moment_of(row["received_at"])
    if happened is None:
        return "event_at is no timestamp"
    if not row["user_id"] and not row["anonymous_id"]:
        return "neither user_id nor anonymous_id"
    if happened - (received or settings.run_started) > timedelta(days=1):
        return "event_at more than a day after received_at"
    return None


def contract_row(row: Row) -> tuple:
    """The columns of a clean raw event in the order of their weight among repeated deliveries: received first, then
    happened first, then by its values."""
    text = {name: row[name] or None for name in EVENT_COLUMNS}
    happened, received = moment_of(text["event_at"]), moment_of(text["received_at"])
    lower = {name: text[name] and text[name].lower() for name in ("platform", "device_type", "language")}
    upper = {name: text[name] and text[name].upper() for name in ("country", "currency")}
    values = text | lower | upper | {"received_at": received or happened, "event_at": happened}
    values |= {"quantity": whole_of(text["quantity"]), "revenue": money_of(text["revenue"])}
    values["properties"] = row["properties"]
    names = ("received_at", "event_at", *(n for n in EVENT_COLUMNS if n not in ("received_at", "event_at")))
    return tuple(values[name] for name in names)


CONTRACT_ORDER = ("received_at", "event_at", *(n for n in EVENT_COLUMNS if n not in ("received_at", "event_at")))


def deduplicated(raw: Raw, settings: Settings) -> list[dict[str, Any]]:
    """The clean rows, one an event: of those with the same id on the same day the first received."""
    deliveries = defaultdict(list)
    for row in raw.events:
        if rejection_reason(row, settings) is None:
            values = contract_row(row)
            clean = dict(zip(CONTRACT_ORDER, values))
            deliveries[clean["event_id"], settings.day(clean["event_at"])].append((nulls_last(values), clean))
    return [min(rows, key=lambda row: row[0])[1] for rows in deliveries.values()]


def clean_events(raw: Raw, settings: Settings) -> list[Event]:
    """Every event once, with its type, its day and its money in the reporting currency."""
    taxonomy = {row["event_name"]: row for row in raw.event_taxonomy}
    rates: dict[tuple[str, date], Decimal] = {}
    for row in raw.exchange_rates:
        day, rate = moment_of(row["day"]), decimal_of(row["rate"])
        if row["currency"] and day and rate is not None and rate > 0:
            key = (row["currency"].upper(), day.date())
            rates[key] = max(rate, rates.get(key, rate))

    events = []
    for row in deduplicated(raw, settings):
        meaning = taxonomy.get(row["event_name"])
        kind = meaning["event_type"] if meaning else "other"
        listed = meaning is None or (meaning["is_activity"] or "true").lower() == "true"
        day = settings.day(row["event_at"])
        revenue, currency = row["revenue"], row["currency"] or settings.currency
        if currency != settings.currency and revenue is not None:
            rate = rates.get((currency, day))
            revenue = None if rate is None else rounded(revenue * rate)
        events.append(
            Event(
                id=row["event_id"],
                type=kind,
                is_activity=kind == "purchase" or (listed and kind not in ("message_sent", "refund")),
                at=row["event_at"],
                day=day,
                user=row["user_id"],
                device=row["anonymous_id"],
                device_type=row["device_type"],
                country=row["country"],
                language=row["language"],
                channel=row["channel"],
                item_category=row["item_category"],
                search_term=re.sub(r"[ \t\n\f\r]+", " ", row["search_query"] or "").strip(" ").lower() or None,
                revenue=revenue,
            )
        )
    return events


# People -------------------------------------------------------------------------------------------------------------


def alias_ends(raw: Raw, as_of: date, settings: Settings) -> dict[str, str]:
    """Where each aliased id leads by the end of the as-of date, at the end of its chain."""
    known: dict[str, tuple] = {}
    for row in raw.aliases:
        previous, user, at = row["previous_id"], row["user_id"], moment_of(row["aliased_at"])
        if previous and user and previous != user and (at is None or settings.day(at) <= as_of):
            newest = (at or datetime.min, user)
            known[previous] = max(known.get(previous, newest), newest)
    ends = {}
    for previous in known:
        end = previous
        while end in known:
            end = known[end][1]
        ends[previous] = end
    return ends


def people(raw: Raw, events: list[Event], as_of: date, settings: Settings) -> dict[str, list[Event]]:
    """The events up to the end of the as-of date by the person whose they are as known then."""
    ends = alias_ends(raw, as_of, settings)
    known = [event for event in events if event.day <= as_of]
    owners: dict[str, tuple[datetime, str]] = {}
    for event in known:
        if event.user is not None and event.device is not None:
            claim = (event.at, event.user)
            owners[event.device] = min(owners.get(event.device, claim), claim)
    found = defaultdict(list)
    for event in known:
        if event.user is not None:
            person = event.user
        elif event.device in owners:
            person = owners[event.device][1]
        else:
            person = f"anon:{event.device}"
        found[ends.get(person, person)].append(event)
    return dict(found)


def sessions(events: Iterable[Event]) -> list[Session]:
    """The visits of one person: activity on one device with no gap over 30 minutes."""
    devices = defaultdict(list)
    for event in events:
        if event.is_activity:
            devices[event.device].append(event)
    visits = []
    for activity in devices.values():
        activity.sort(key=lambda event: (event.at, event.id))
        visit = [activity[0]]
        for event in activity[1:]:
            if event.at - visit[-1].at > timedelta(minutes=30):
                visits.append(Session(tuple(visit)))
                visit = []
            visit.append(event)
        visits.append(Session(tuple(visit)))
    return visits


# Metrics ------------------------------------------------------------------------------------------------------------


def user_metrics(raw: Raw, as_of: date, settings: Settings = Settings()) -> dict[str, dict[str, Any]]:
    """The columns of int_user_metrics by user_id, for everybody with activity up to the as-of date."""
    events = clean_events(raw, settings)
    found = people(raw, events, as_of, settings)
    ends = alias_ends(raw, as_of, settings)
    rows = {
        person: {
            **activity_metrics(own, as_of),
            **purchase_metrics(own, as_of),
            **cart_metrics(own, as_of),
            **core_metrics(own, as_of),
            **message_metrics(own, as_of),
            **category_metrics(own, as_of),
            **nps_metrics(raw, person, ends, as_of, settings),
            **traits(raw, own, person, ends, as_of, settings),
        }
        for person, own in found.items()
        if any(event.is_activity for event in own)
    }
    add_rfm_scores(rows)
    add_search_terms(rows, found, as_of)
    return rows


def last_days(events: Iterable[Event], as_of: date, days: int) -> list[Event]:
    """The events of the `days` days that end on the as-of date, itself included."""
    return [event for event in events if (as_of - event.day).days < days]


def of_type(events: Iterable[Event], *types: str) -> list[Event]:
    """The events of these types."""
    return [event for event in events if event.type in types]


def days_of(events: Iterable[Event]) -> set[date]:
    """The days on which these events lie."""
    return {event.day for event in events}


def activity_metrics(events: list[Event], as_of: date) -> dict[str, Any]:
    """How often, how long, on what, and with what trouble."""
    activity = [event for event in events if event.is_activity]
    active_days = sorted(days_of(activity))
    visits = sessions(events)
    visits_28d = [visit for visit in visits if (as_of - visit.day).days < 28]
    events_28d, activity_90d = last_days(events, as_of, 28), last_days(activity, as_of, 90)
    return {
        "days_since_first_active": (as_of - active_days[0]).days,
        "days_since_last_active": (as_of - active_days[-1]).days,
        "days_between_last_two_active_days": (
            (active_days[-1] - active_days[-2]).days if len(active_days) > 1 else None
        ),
        "active_days_7d": len(days_of(last_days(activity, as_of, 7))),
        "active_days_28d": len(days_of(last_days(activity, as_of, 28))),
        "active_days_lifetime": len(active_days),
        "sessions_7d": sum((as_of - visit.day).days < 7 for visit in visits),
        "sessions_28d": len(visits_28d),
        "sessions_lifetime": len(visits),
        "events_28d": len(last_days(activity, as_of, 28)),
        "avg_session_minutes_28d": (
            sum(visit.minutes for visit in visits_28d) / len(visits_28d) if visits_28d else 0.0
        ),
        "mobile_active_days_90d": len(days_of(e for e in activity_90d if e.device_type in ("mobile", "tablet"))),
        "desktop_active_days_90d": len(days_of(e for e in activity_90d if e.device_type == "desktop")),
        "support_contacts_28d": len(of_type(events_28d, "support_contact")),
        "support_views_28d": len(of_type(events_28d, "support_view")),
        "errors_28d": len(of_type(events_28d, "error")),
        "searches_28d": len(of_type(events_28d, "search")),
    }


def purchase_metrics(events: list[Event], as_of: date) -> dict[str, Any]:
    """How often and for how much; the scores are added when everybody's are known."""
    purchases, money = of_type(events, "purchase"), of_type(events, "purchase", "refund")
    purchase_days = sorted(days_of(purchases))

    def revenue(of: Iterable[Event]) -> Decimal:
        return sum((event.revenue for event in of if event.revenue is not None), Decimal(0))

    repeat_average = None
    if len(purchase_days) == 1:
        repeat_average = 0.0
    elif purchase_days:
        totals = [
            revenue(event for event in purchases if event.day == day)
            for day in purchase_days[1:]
            if any(event.day == day and event.revenue is not None for event in purchases)
        ]
        repeat_average = float(sum(totals) / len(totals)) if totals else None
    return {
        "purchase_days_28d": len(days_of(last_days(purchases, as_of, 28))),
        "purchase_days_365d": len(days_of(last_days(purchases, as_of, 365))),
        "purchase_days_lifetime": len(purchase_days),
        "purchases_lifetime": len(purchases),
        "revenue_28d": revenue(last_days(money, as_of, 28)),
        "revenue_365d": revenue(last_days(money, as_of, 365)),
        "revenue_lifetime": revenue(money),
        "days_since_first_purchase": (as_of - purchase_days[0]).days if purchase_days else None,
        "days_since_last_purchase": (as_of - purchase_days[-1]).days if purchase_days else None,
        "avg_purchase_day_revenue_repeat": repeat_average,
    }


def cart_metrics(events: list[Event], as_of: date) -> dict[str, Any]:
    """Days from the last cart, and the last checkout, that no purchase followed."""

    def days_since_abandoned(kind: str) -> int | None:
        opened = max((event.at for event in of_type(events, kind)), default=None)
        if opened is None or any(event.at >= opened for event in of_type(events, "purchase")):
            return None
        return min((as_of - event.day).days for event in of_type(events, kind) if event.at == opened)

    return {
        "days_since_abandoned_cart": days_since_abandoned("add_to_cart"),
        "days_since_abandoned_checkout": days_since_abandoned("checkout_start"),
    }


def core_metrics(events: list[Event], as_of: date) -> dict[str, Any]:
    """The core workflow, week by week, and whom the person brought."""
    days = days_of(of_type(events, "core_action"))
    weeks = [{as_of - timedelta(days=7 * week + day) for day in range(7)} for week in range(4)]
    return {
        "core_starts_28d": len(of_type(last_days(events, as_of, 28), "core_start")),
        "core_action_days_28d": len(days & set().union(*weeks)),
        "core_action_weeks_28d": sum(bool(days & week) for week in weeks),
        "core_action_days_lifetime": len(days),
        "referrals_lifetime": len(of_type(events, "referral")),
    }


def message_metrics(events: list[Event], as_of: date) -> dict[str, Any]:
    """What was sent, what was opened, and whether the person still wants it."""
    sent = of_type(events, "message_sent")
    last_sign_up = max((event.at for event in of_type(events, "sign_up")), default=datetime.min)
    refusals = [event for event in of_type(events, "unsubscribe") if event.at >= last_sign_up]
    return {
        "messages_sent_7d": len(last_days(sent, as_of, 7)),
        "messages_sent_28d": len(last_days(sent, as_of, 28)),
        "messages_opened_28d": len(of_type(last_days(events, as_of, 28), "message_opened")),
        "days_since_unsubscribed": min(((as_of - event.day).days for event in refusals), default=None),
    }


def leader(events: Iterable[Event], what: str, count_days: bool, at_least: int = 1) -> str | None:
    """The category or term of most events, or of events on most days; None where none has so many events."""
    by_value = defaultdict(list)
    for event in events:
        if getattr(event, what) is not None:
            by_value[getattr(event, what)].append(event)
    # The smallest wins, so that of equals the name that sorts first does; bytes sort as the C collation does.
    found = [
        (-(len(days_of(own)) if count_days else len(own)), datetime.max - max(event.at for event in own), value.encode())
        for value, own in by_value.items()
        if len(own) >= at_least
    ]
    return min(found)[2].decode() if found else None


def category_metrics(events: list[Event], as_of: date) -> dict[str, Any]:
    """The item categories that lead with the person."""
    views, purchases = of_type(events, "content_view"), of_type(events, "purchase")
    return {
        "top_viewed_category_90d": leader(last_days(views, as_of, 90), "item_category", True, at_least=3),
        "top_viewed_category_365d": leader(last_days(views, as_of, 365), "item_category", False),
        "top_bought_category_365d": leader(last_days(purchases, as_of, 365), "item_category", False),
    }


def add_search_terms(rows: dict[str, dict[str, Any]], people: dict[str, list[Event]], as_of: date) -> None:
    """Adds top_search_term_90d: among the terms that ten people or more used."""
    searches = {person: of_type(last_days(own, as_of, 90), "search") for person, own in people.items()}
    users_of = Counter(term for own in searches.values() for term in {event.search_term for event in own})
    for person, row in rows.items():
        shared = [event for event in searches[person] if users_of[event.search_term] >= 10]
        alone = leader(searches[person], "search_term", True) and "other"
        row["top_search_term_90d"] = leader(shared, "search_term", True) or alone


def nps_metrics(raw: Raw, person: str, ends: dict[str, str], as_of: date, settings: Settings) -> dict[str, Any]:
    """The last NPS answer."""
    answers = []
    for row in raw.feedback:
        if not row["feedback_id"] or not row["user_id"] or ends.get(row["user_id"], row["user_id"]) != person:
            continue
        at, score = moment_of(row["submitted_at"]), whole_of(row["score"])
        if (row["kind"] or "").lower() != "nps" or at is None or score is None or not 0 <= score <= 10:
            continue
        if settings.day(at) <= as_of:
            answers.append((at, row["feedback_id"], score))
    if not answers:
        return {"last_nps_score": None, "days_since_last_nps": None}
    at, _, score = max(answers)
    return {"last_nps_score": score, "days_since_last_nps": (as_of - settings.day(at)).days}


def traits(
    raw: Raw, events: list[Event], person: str, ends: dict[str, str], as_of: date, settings: Settings
) -> dict[str, str | None]:
    """Who the person is: what the application says, else what the events showed."""

    def last_seen(name: str) -> str | None:
        seen = [(event.at, getattr(event, name)) for event in events if getattr(event, name) is not None]
        return max(seen)[1] if seen else None

    first_channel = min(((event.at, event.channel) for event in events if event.channel is not None), default=None)
    history = []
    for row in raw.users:
        at = moment_of(row["updated_at"])
        if row["user_id"] and ends.get(row["user_id"], row["user_id"]) == person:
            if at is None or settings.day(at) <= as_of:
                said = (
                    row["plan"] or None,
                    (row["country"] or "").upper() or None,
                    (row["language"] or "").lower() or None,
                    row["channel"] or None,
                    moment_of(row["signed_up_at"]),
                )
                history.append((nulls_first((at, row["user_id"], *said)), said))
    plan, country, language, channel, signed_up_at = max(history)[1] if history else (None,) * 5
    sign_ups = [event.day for event in of_type(events, "sign_up")]
    if signed_up_at is not None and settings.day(signed_up_at) <= as_of:
        sign_ups = [settings.day(signed_up_at)]
    return {
        "days_since_signed_up": (as_of - min(sign_ups)).days if sign_ups else None,
        "signed_up_month": f"{min(sign_ups):%Y-%m}" if sign_ups else None,
        "plan": plan,
        "country": country or last_seen("country"),
        "language": language or last_seen("language"),
        "device_type": last_seen("device_type"),
        "channel": channel or (first_channel and first_channel[1]),
    }


def add_rfm_scores(rows: dict[str, dict[str, Any]]) -> None:
    """Adds r_score, f_score and m_score: among the people who bought, by how many of them are strictly worse."""
    buyers = [row for row in rows.values() if row["purchase_days_lifetime"] > 0]
    for score, metric, worse_is_more in (
        ("r_score", "days_since_last_purchase", True),
        ("f_score", "purchase_days_lifetime", False),
        ("m_score", "revenue_lifetime", False),
    ):
        for row in rows.values():
            row[score] = None
        for row in buyers:
            worse = sum(
                other[metric] > row[metric] if worse_is_more else other[metric] < row[metric] for other in buyers
            )
            row[score] = 1 + 5 * worse // len(buyers)
