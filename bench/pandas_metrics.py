"""int_user_metrics in pandas, as a data scientist would write it: for comparison with the project's SQL.

    python bench/pandas_metrics.py EVENTS_FOLDER AS_OF_DATE OUT.parquet

Reads the Parquet files of EVENTS_FOLDER and seeds/event_taxonomy.csv. Like bench/floor.sql it knows no users, aliases,
feedback and exchange rates; the columns that need them are empty.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

TAXONOMY = Path(__file__).resolve().parent.parent / "seeds" / "event_taxonomy.csv"
COLUMNS = [
    "event_id", "event_name", "event_at", "received_at", "user_id", "anonymous_id", "device_type", "country",
    "language", "channel", "revenue", "item_category", "search_query",
]  # fmt: skip
DAY = pd.Timedelta(days=1)
# A search term counts where so many people used it.
SHARED_BY = 10


def read_events(folder: Path, as_of: pd.Timestamp) -> pd.DataFrame:
    """Every event up to the as-of date once, with its type, its person and how many days ago it was."""
    events = pd.read_parquet(folder, columns=COLUMNS)
    events = events[(events.event_at <= events.received_at + DAY) & (events.event_at < as_of + DAY)].copy()
    # Exact decimals are Python objects in pandas, and a hundred times slower; totals are rounded to what they would be.
    events["revenue"] = events.revenue.astype("float64")
    events["days_ago"] = (as_of - events.event_at.dt.normalize()).dt.days
    events = events.sort_values(["received_at", "event_at"]).drop_duplicates(["event_id", "days_ago"])
    events = events.drop(columns=["event_id", "received_at"])

    taxonomy = pd.read_csv(TAXONOMY)
    taxonomy.loc[taxonomy.event_type.isin(["message_sent", "refund"]), "is_activity"] = False
    taxonomy.loc[taxonomy.event_type == "purchase", "is_activity"] = True
    events = events.merge(taxonomy, on="event_name", how="left").drop(columns="event_name")
    events["event_type"] = events.event_type.fillna("other").astype("category")
    events["is_activity"] = events.is_activity.astype("boolean").fillna(True).astype(bool)

    # A device's anonymous past belongs to the first user that it was ever identified as.
    identified = events.dropna(subset=["user_id", "anonymous_id"]).sort_values(["event_at", "user_id"])
    owner = identified.drop_duplicates("anonymous_id").set_index("anonymous_id").user_id
    person = events.user_id.fillna(events.anonymous_id.map(owner)).fillna("anon:" + events.anonymous_id)
    events["person"] = person.astype("category")
    events["device"] = events.anonymous_id.fillna("").astype("category")
    return events.drop(columns=["user_id", "anonymous_id"])


def session_metrics(activity: pd.DataFrame) -> pd.DataFrame:
    """Visits: no gap of more than 30 minutes on one device."""
    ordered = activity[["person", "device", "event_at", "days_ago"]].sort_values(["person", "device", "event_at"])
    same = (ordered.person == ordered.person.shift()) & (ordered.device == ordered.device.shift())
    is_start = ~same | (ordered.event_at.diff() > pd.Timedelta(minutes=30))
    sessions = ordered.groupby(is_start.cumsum().to_numpy()).agg(
        person=("person", "first"),
        days_ago=("days_ago", "first"),
        started_at=("event_at", "first"),
        ended_at=("event_at", "last"),
    )
    sessions["minutes"] = (sessions.ended_at - sessions.started_at).dt.total_seconds() / 60
    by_person = sessions.groupby("person", observed=True)
    recent = sessions[sessions.days_ago < 28].groupby("person", observed=True)
    return pd.DataFrame(
        {
            "sessions_7d": sessions[sessions.days_ago < 7].groupby("person", observed=True).size(),
            "sessions_28d": recent.size(),
            "sessions_lifetime": by_person.size(),
            "avg_session_minutes_28d": recent.minutes.mean(),
        }
    ).fillna(0)


def activity_metrics(activity: pd.DataFrame) -> pd.DataFrame:
    """Active days, and what was active on them."""
    activity = activity.assign(
        is_mobile=activity.device_type.isin(["mobile", "tablet"]), is_desktop=activity.device_type == "desktop"
    )
    days = activity.groupby(["person", "days_ago"], observed=True)[["is_mobile", "is_desktop"]].any().reset_index()
    by_person = days.groupby("person", observed=True).days_ago
    latest = days[days.days_ago < 90].groupby("person", observed=True)
    metrics = pd.DataFrame(
        {
            "days_since_first_active": by_person.max(),
            "days_since_last_active": by_person.min(),
            "active_days_7d": days[days.days_ago < 7].groupby("person", observed=True).size(),
            "active_days_28d": days[days.days_ago < 28].groupby("person", observed=True).size(),
            "active_days_lifetime": by_person.size(),
            "events_28d": activity[activity.days_ago < 28].groupby("person", observed=True).size(),
            "mobile_active_days_90d": latest.is_mobile.sum(),
            "desktop_active_days_90d": latest.is_desktop.sum(),
        }
    ).fillna(0)
    # `days` is sorted by person and days_ago: the second row of a person is the last day but one.
    second = days[days.groupby("person", observed=True).cumcount() == 1].set_index("person").days_ago
    metrics["days_between_last_two_active_days"] = second - metrics.days_since_last_active
    return metrics


def purchase_metrics(events: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Purchases, money and carts left behind; the RFM scores."""
    purchases = events[events.event_type == "purchase"]
    by_day = purchases.groupby(["person", "days_ago"], observed=True)
    days = pd.DataFrame({"purchases": by_day.size(), "revenue": by_day.revenue.sum(min_count=1)}).reset_index()
    by_person = days.groupby("person", observed=True)
    metrics = pd.DataFrame(
        {
            "purchase_days_28d": days[days.days_ago < 28].groupby("person", observed=True).size(),
            "purchase_days_365d": days[days.days_ago < 365].groupby("person", observed=True).size(),
            "purchase_days_lifetime": by_person.size(),
            "purchases_lifetime": by_person.purchases.sum(),
            "days_since_first_purchase": by_person.days_ago.max(),
            "days_since_last_purchase": by_person.days_ago.min(),
        }
    )
    repeats = days[days.days_ago < days.person.map(metrics.days_since_first_purchase).astype("int64")]
    metrics["avg_purchase_day_revenue_repeat"] = repeats.groupby("person", observed=True).revenue.mean()
    metrics.loc[metrics.purchase_days_lifetime == 1, "avg_purchase_day_revenue_repeat"] = 0.0

    money = events[events.event_type.isin(["purchase", "refund"])]
    for name, window in (("revenue_28d", 28), ("revenue_365d", 365), ("revenue_lifetime", np.inf)):
        total = money[money.days_ago < window].groupby("person", observed=True).revenue.sum().round(4)
        metrics = metrics.join(total.rename(name), how="outer")
    last_purchase = purchases.groupby("person", observed=True).event_at.max()
    for name, event_type in (
        ("days_since_abandoned_cart", "add_to_cart"),
        ("days_since_abandoned_checkout", "checkout_start"),
    ):
        last = events[events.event_type == event_type].groupby("person", observed=True).event_at.max()
        is_open = ~(last_purchase.reindex(last.index) >= last)
        metrics = metrics.join((as_of - last[is_open].dt.normalize()).dt.days.rename(name), how="outer")

    bought = metrics.purchase_days_lifetime.notna()
    for name, value in (
        ("r_score", -metrics.days_since_last_purchase),
        ("f_score", metrics.purchase_days_lifetime),
        ("m_score", metrics.revenue_lifetime.fillna(0)),
    ):
        worse = value[bought].rank(method="min") - 1
        metrics[name] = 1 + (5 * worse // bought.sum())
    return metrics


def count_metrics(events: pd.DataFrame) -> pd.DataFrame:
    """How often in a window of days."""
    counted = {
        "support_contacts_28d": ("support_contact", 28),
        "support_views_28d": ("support_view", 28),
        "errors_28d": ("error", 28),
        "searches_28d": ("search", 28),
        "core_starts_28d": ("core_start", 28),
        "messages_sent_7d": ("message_sent", 7),
        "messages_sent_28d": ("message_sent", 28),
        "messages_opened_28d": ("message_opened", 28),
        "referrals_lifetime": ("referral", np.inf),
    }
    return pd.DataFrame(
        {
            name: events[(events.event_type == event_type) & (events.days_ago < window)]
            .groupby("person", observed=True)
            .size()
            for name, (event_type, window) in counted.items()
        }
    )


def core_metrics(events: pd.DataFrame) -> pd.DataFrame:
    """On how many days, and in how many of the last four weeks, the core action was done."""
    days = events.loc[events.event_type == "core_action", ["person", "days_ago"]].drop_duplicates()
    recent = days[days.days_ago < 28]
    weeks = recent.assign(week=recent.days_ago // 7).drop_duplicates(["person", "week"])
    return pd.DataFrame(
        {
            "core_action_days_28d": recent.groupby("person", observed=True).size(),
            "core_action_weeks_28d": weeks.groupby("person", observed=True).size(),
            "core_action_days_lifetime": days.groupby("person", observed=True).size(),
        }
    )


def sign_up_metrics(events: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """When a person signed up, and unsubscribed without signing up again."""
    by_person = events[events.event_type == "sign_up"].groupby("person", observed=True)
    metrics = pd.DataFrame({"days_since_signed_up": by_person.days_ago.max()})
    signed_up_on = as_of - pd.to_timedelta(metrics.days_since_signed_up, unit="D")
    metrics["signed_up_month"] = signed_up_on.dt.strftime("%Y-%m")
    unsubscribed = events[events.event_type == "unsubscribe"].groupby("person", observed=True)
    last = unsubscribed.event_at.max()
    holds = ~(by_person.event_at.max().reindex(last.index) > last)
    return metrics.join(unsubscribed.days_ago.min()[holds].rename("days_since_unsubscribed"), how="outer")


def leaders(totals: pd.DataFrame, weight: str) -> pd.Series:
    """Of each person's interests the one that weighs most; of equals the one met last, then the first by name."""
    ordered = totals.sort_values(["person", weight, "last_at", "interest"], ascending=[True, False, False, True])
    return ordered.drop_duplicates("person").set_index("person").interest


def interest_metrics(events: pd.DataFrame) -> pd.DataFrame:
    """The item categories and the search term that lead with each person."""
    interests = events.loc[
        events.event_type.isin(["content_view", "purchase", "search"]) & (events.days_ago < 365),
        ["person", "event_type", "event_at", "days_ago", "item_category", "search_query"],
    ]
    words = interests.search_query.str.replace(r"[ \t\n\f\r]+", " ", regex=True).str.strip(" ").str.lower()
    is_search = interests.event_type == "search"
    interests = interests.assign(interest=words.where(is_search, interests.item_category).replace("", None))
    interests = interests.dropna(subset="interest")
    recent = interests[interests.days_ago < 90]

    keys = ["person", "event_type", "interest"]
    totals = interests.groupby(keys, observed=True).agg(times_365d=("event_at", "size"), last_at=("event_at", "max"))
    totals["times_90d"] = recent.groupby(keys, observed=True).size()
    totals["days_90d"] = recent.drop_duplicates([*keys, "days_ago"]).groupby(keys, observed=True).size()
    totals = totals.reset_index()
    viewed, bought = totals[totals.event_type == "content_view"], totals[totals.event_type == "purchase"]
    searched = totals[(totals.event_type == "search") & (totals.days_90d > 0)]
    shared = searched.groupby("interest").person.transform("size") >= SHARED_BY
    terms = leaders(searched[shared], "days_90d").reindex(searched.person.unique()).fillna("other")
    return pd.DataFrame(
        {
            "top_viewed_category_90d": leaders(viewed[viewed.times_90d >= 3], "days_90d"),
            "top_viewed_category_365d": leaders(viewed, "times_365d"),
            "top_bought_category_365d": leaders(bought, "times_365d"),
            "top_search_term_90d": terms,
        }
    )


def trait_metrics(events: pd.DataFrame) -> pd.DataFrame:
    """Country, language and device type as seen last, the channel as seen first."""
    traits = {}
    for name in ("country", "language", "device_type"):
        known = events[["person", "event_at", name]].dropna().sort_values(["event_at", name])
        traits[name] = known.groupby("person", observed=True)[name].last()
    known = events[["person", "event_at", "channel"]].dropna().sort_values(["event_at", "channel"])
    traits["channel"] = known.groupby("person", observed=True).channel.first()
    return pd.DataFrame(traits)


def user_metrics(folder: Path, as_of: pd.Timestamp) -> pd.DataFrame:
    """One row for everybody with activity up to the as-of date, the columns as in int_user_metrics."""
    events = read_events(folder, as_of)
    activity = events[events.is_activity]
    metrics = activity_metrics(activity)
    for part in (
        session_metrics(activity), purchase_metrics(events, as_of), count_metrics(events), core_metrics(events),
        sign_up_metrics(events, as_of), interest_metrics(events), trait_metrics(events),
    ):  # fmt: skip
        metrics = metrics.join(part, how="left")
    zero = [
        name
        for name in metrics
        if name.endswith(("_7d", "_28d", "_90d", "_365d", "_lifetime")) and not name.startswith("top_")
    ]
    metrics[zero] = metrics[zero].fillna(0)
    metrics["last_nps_score"] = metrics["days_since_last_nps"] = metrics["plan"] = None
    metrics.insert(0, "as_of_date", as_of.date())
    return metrics.rename_axis("user_id").reset_index().astype({"user_id": "str"})


if __name__ == "__main__":
    user_metrics(Path(sys.argv[1]), pd.Timestamp(sys.argv[2])).to_parquet(sys.argv[3], index=False)
