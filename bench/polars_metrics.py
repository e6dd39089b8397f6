"""int_user_metrics in polars, as a data scientist would write it: for comparison with the project's SQL.

    python bench/polars_metrics.py EVENTS_FOLDER AS_OF_DATE OUT.parquet

Reads the Parquet files of EVENTS_FOLDER and seeds/event_taxonomy.csv. Like bench/floor.sql it knows no users, aliases,
feedback and exchange rates; the columns that need them are empty.
"""

from __future__ import annotations

import sys
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import polars.selectors as cs
from polars import col

TAXONOMY = Path(__file__).resolve().parent.parent / "seeds" / "event_taxonomy.csv"
# A search term counts where so many people used it.
SHARED_BY = 10


def read_taxonomy() -> pl.LazyFrame:
    """event_name, event_type and whether it is activity."""
    return pl.scan_csv(TAXONOMY).with_columns(
        is_activity=pl.when(col("event_type").is_in(["message_sent", "refund"]))
        .then(False)
        .when(col("event_type") == "purchase")
        .then(True)
        .otherwise(col("is_activity"))
    )


def read_events(folder: Path, as_of: date) -> pl.DataFrame:
    """Every event up to the as-of date once, with its type, its person and how many days ago it was."""
    events = (
        pl.scan_parquet(folder)
        .select(
            "event_id", "event_name", "event_at", "received_at", "user_id", "anonymous_id", "device_type", "country",
            "language", "channel", "revenue", "item_category", "search_query",
        )  # fmt: skip
        .filter(
            col("event_at") <= col("received_at") + timedelta(days=1),
            col("event_at") < as_of + timedelta(days=1),
        )
        .with_columns(days_ago=(pl.lit(as_of) - col("event_at").dt.date()).dt.total_days().cast(pl.Int32))
        .sort("received_at", "event_at")
        .unique(["event_id", "days_ago"], keep="first", maintain_order=False)
        .drop("event_id", "received_at")
        .join(read_taxonomy(), on="event_name", how="left")
        .drop("event_name")
        .with_columns(col("event_type").fill_null("other"), col("is_activity").fill_null(True))
        .collect()
    )
    # A device's anonymous past belongs to the first user that it was ever identified as.
    owner = (
        events.drop_nulls(["user_id", "anonymous_id"])
        .group_by("anonymous_id")
        .agg(owner=col("user_id").sort_by("event_at", "user_id").first())
    )
    # Categories, so that what follows groups numbers and not long ids.
    return (
        events.join(owner, on="anonymous_id", how="left")
        .with_columns(
            person=pl.coalesce("user_id", "owner", "anon:" + col("anonymous_id")).cast(pl.Categorical),
            device=col("anonymous_id").fill_null("").cast(pl.Categorical),
        )
        .drop("user_id", "anonymous_id", "owner")
    )


def session_metrics(activity: pl.LazyFrame) -> pl.LazyFrame:
    """Visits: no gap of more than 30 minutes on one device."""
    is_start = (
        (col("person") != col("person").shift())
        | (col("device") != col("device").shift())
        | (col("event_at").diff() > timedelta(minutes=30))
    ).fill_null(True)
    recent = col("days_ago") < 28
    return (
        activity.select("person", "device", "event_at", "days_ago")
        .sort("person", "device", "event_at")
        .with_columns(session=is_start.cum_sum())
        .group_by("session")
        .agg(
            col("person").first(),
            col("days_ago").max(),
            minutes=(col("event_at").max() - col("event_at").min()).dt.total_microseconds() / 60e6,
        )
        .group_by("person")
        .agg(
            sessions_7d=(col("days_ago") < 7).sum(),
            sessions_28d=recent.sum(),
            sessions_lifetime=pl.len(),
            avg_session_minutes_28d=col("minutes").filter(recent).mean(),
        )
    )


def activity_metrics(activity: pl.LazyFrame) -> pl.LazyFrame:
    """Active days, and what was active on them."""
    days_ago = col("days_ago")
    return (
        activity.group_by("person", "days_ago")
        .agg(
            events=pl.len(),
            is_mobile=col("device_type").is_in(["mobile", "tablet"]).any(),
            is_desktop=(col("device_type") == "desktop").any(),
        )
        .group_by("person")
        .agg(
            days_since_first_active=days_ago.max(),
            days_since_last_active=days_ago.min(),
            # The smallest but one; no day of a person is there twice.
            days_since_second_last_active=days_ago.filter(days_ago > days_ago.min()).min(),
            active_days_7d=(days_ago < 7).sum(),
            active_days_28d=(days_ago < 28).sum(),
            active_days_lifetime=pl.len(),
            events_28d=col("events").filter(days_ago < 28).sum(),
            mobile_active_days_90d=(col("is_mobile") & (days_ago < 90)).sum(),
            desktop_active_days_90d=(col("is_desktop") & (days_ago < 90)).sum(),
        )
        .with_columns(
            days_between_last_two_active_days=col("days_since_second_last_active") - col("days_since_last_active")
        )
        .drop("days_since_second_last_active")
    )


def purchase_metrics(events: pl.LazyFrame) -> pl.LazyFrame:
    """Purchase days of those who bought."""
    days_ago = col("days_ago")
    repeat_revenue = col("revenue").filter(days_ago < days_ago.max()).cast(pl.Float64).mean()
    return (
        events.filter(col("event_type") == "purchase")
        .group_by("person", "days_ago")
        .agg(
            purchases=pl.len(),
            revenue=pl.when(col("revenue").count() > 0).then(col("revenue").sum()),
        )
        .group_by("person")
        .agg(
            purchase_days_28d=(days_ago < 28).sum(),
            purchase_days_365d=(days_ago < 365).sum(),
            purchase_days_lifetime=pl.len(),
            purchases_lifetime=col("purchases").sum(),
            days_since_first_purchase=days_ago.max(),
            days_since_last_purchase=days_ago.min(),
            avg_purchase_day_revenue_repeat=pl.when(pl.len() == 1).then(0.0).otherwise(repeat_revenue),
        )
    )


def total_metrics(events: pl.LazyFrame, as_of: date) -> pl.LazyFrame:
    """Money, carts left behind, and counts of the last 28 days."""
    event_type, days_ago = col("event_type"), col("days_ago")
    money = col("revenue").filter(event_type.is_in(["purchase", "refund"]))
    window = days_ago.filter(event_type.is_in(["purchase", "refund"]))

    def last(kind: str) -> pl.Expr:
        return col("event_at").filter(event_type == kind).max()

    def days_since_open(kind: str) -> pl.Expr:
        days = (pl.lit(as_of) - last(kind).dt.date()).dt.total_days()
        return pl.when((last("purchase") >= last(kind)).fill_null(False)).then(None).otherwise(days)

    def recent(kind: str) -> pl.Expr:
        return ((event_type == kind) & (days_ago < 28)).sum()

    kinds = [
        "purchase", "refund", "add_to_cart", "checkout_start", "support_contact", "support_view", "error", "search",
    ]  # fmt: skip
    return (
        events.filter(event_type.is_in(kinds))
        .group_by("person")
        .agg(
            revenue_28d=money.filter(window < 28).sum(),
            revenue_365d=money.filter(window < 365).sum(),
            revenue_lifetime=money.sum(),
            days_since_abandoned_cart=days_since_open("add_to_cart"),
            days_since_abandoned_checkout=days_since_open("checkout_start"),
            support_contacts_28d=recent("support_contact"),
            support_views_28d=recent("support_view"),
            errors_28d=recent("error"),
            searches_28d=recent("search"),
        )
    )


def habit_metrics(events: pl.LazyFrame, as_of: date) -> pl.LazyFrame:
    """The core workflow, messages, referrals, and the sign-up."""
    event_type, days_ago, event_at = col("event_type"), col("days_ago"), col("event_at")
    core_days = days_ago.filter(event_type == "core_action")

    def times(kind: str, window: int) -> pl.Expr:
        return ((event_type == kind) & (days_ago < window)).sum()

    last_sign_up = event_at.filter(event_type == "sign_up").max()
    last_unsubscribe = event_at.filter(event_type == "unsubscribe").max()
    signed_up_again = (last_sign_up > last_unsubscribe).fill_null(False)
    days_since_unsubscribed = days_ago.filter(event_type == "unsubscribe").min()
    kinds = [
        "core_start", "core_action", "message_sent", "message_opened", "referral", "sign_up", "unsubscribe",
    ]  # fmt: skip
    return (
        events.filter(event_type.is_in(kinds))
        .group_by("person")
        .agg(
            core_starts_28d=times("core_start", 28),
            core_action_days_28d=core_days.filter(core_days < 28).n_unique(),
            core_action_weeks_28d=(core_days.filter(core_days < 28) // 7).n_unique(),
            core_action_days_lifetime=core_days.n_unique(),
            messages_sent_7d=times("message_sent", 7),
            messages_sent_28d=times("message_sent", 28),
            messages_opened_28d=times("message_opened", 28),
            referrals_lifetime=(event_type == "referral").sum(),
            days_since_signed_up=days_ago.filter(event_type == "sign_up").max(),
            days_since_unsubscribed=pl.when(signed_up_again).then(None).otherwise(days_since_unsubscribed),
        )
        .with_columns(
            signed_up_month=(pl.lit(as_of) - pl.duration(days=col("days_since_signed_up"))).dt.strftime("%Y-%m")
        )
    )


def interest_metrics(events: pl.LazyFrame) -> pl.LazyFrame:
    """The item categories and the search term that lead with each person."""
    event_type, days_ago = col("event_type"), col("days_ago")
    term = col("search_query").str.replace_all(r"[ \t\n\f\r]+", " ").str.strip_chars(" ").str.to_lowercase()
    totals = (
        events.filter(event_type.is_in(["content_view", "purchase", "search"]), days_ago < 365)
        .with_columns(interest=pl.when(event_type == "search").then(term).otherwise("item_category"))
        .filter(col("interest") != "")
        .group_by("person", "event_type", "interest")
        .agg(
            days_90d=days_ago.filter(days_ago < 90).n_unique(),
            times_90d=(days_ago < 90).sum(),
            times_365d=pl.len(),
            last_at=col("event_at").max(),
        )
    )

    def leaders(of: pl.LazyFrame, weight: str, name: str) -> pl.LazyFrame:
        """Of equals the one met last leads, then the first by name."""
        ordered = of.sort(weight, "last_at", "interest", descending=[True, True, False])
        return ordered.group_by("person").agg(col("interest").first().alias(name))

    viewed, bought = (totals.filter(event_type == kind) for kind in ("content_view", "purchase"))
    searched = totals.filter(event_type == "search", col("days_90d") > 0)
    shared = searched.filter(pl.len().over("interest") >= SHARED_BY)
    top_terms = leaders(shared, "days_90d", "top_search_term_90d")
    return (
        leaders(viewed, "times_365d", "top_viewed_category_365d")
        .join(
            leaders(viewed.filter(col("times_90d") >= 3), "days_90d", "top_viewed_category_90d"),
            on="person", how="left",
        )
        .join(leaders(bought, "times_365d", "top_bought_category_365d"), on="person", how="full", coalesce=True)
        .join(
            searched.select("person").unique().join(top_terms, on="person", how="left").fill_null("other"),
            on="person", how="full", coalesce=True,
        )
    )  # fmt: skip


def trait_metrics(events: pl.LazyFrame) -> pl.LazyFrame:
    """Country, language and device type as seen last, the channel as seen first."""
    names = ["country", "language", "device_type", "channel"]

    def seen(name: str, moment: str) -> pl.Expr:
        return col(name).sort_by(moment, name).filter(col(name).sort_by(moment, name).is_not_null())

    return (
        events.group_by("person", *names)
        .agg(first_seen_at=col("event_at").min(), last_seen_at=col("event_at").max())
        .group_by("person")
        .agg(
            *(seen(name, "last_seen_at").last().alias(name) for name in names[:3]),
            seen("channel", "first_seen_at").first().alias("channel"),
        )
    )


def user_metrics(folder: Path, as_of: date) -> pl.DataFrame:
    """One row for everybody with activity up to the as-of date, the columns as in int_user_metrics."""
    events = read_events(folder, as_of).lazy()
    activity = events.filter(col("is_activity"))
    metrics = activity_metrics(activity)
    for part in (
        session_metrics(activity), purchase_metrics(events), total_metrics(events, as_of), habit_metrics(events, as_of),
        interest_metrics(events), trait_metrics(events),
    ):  # fmt: skip
        metrics = metrics.join(part, on="person", how="left")

    bought = col("purchase_days_lifetime") > 0
    buyers = bought.sum()

    def score(value: pl.Expr) -> pl.Expr:
        worse = pl.when(bought).then(value).rank("min").cast(pl.Int64) - 1
        return 1 + 5 * worse // buyers

    zero = cs.matches(r"_(7d|28d|90d|365d|lifetime)$") & cs.numeric()
    return (
        metrics.with_columns(
            pl.lit(as_of).alias("as_of_date"),
            col("person").cast(pl.String).alias("user_id"),
            zero.fill_null(0),
            r_score=score(-col("days_since_last_purchase")),
            f_score=score(col("purchase_days_lifetime")),
            m_score=score(col("revenue_lifetime").fill_null(0)),
            last_nps_score=pl.lit(None, pl.Int32),
            days_since_last_nps=pl.lit(None, pl.Int32),
            plan=pl.lit(None, pl.String),
        )
        .drop("person")
        .collect()
    )


if __name__ == "__main__":
    user_metrics(Path(sys.argv[1]), date.fromisoformat(sys.argv[2])).write_parquet(sys.argv[3])
