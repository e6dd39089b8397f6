"""Three real data sets build through examples/ and RAW_DATA, and give what plain SQL over their raw files gives.

The data is not part of the project: it is looked for in the folder SHARED_DATA, else in shared/data beside the project,
and the tests of a data set that is not there are skipped. Everything expected is computed here from the raw files
alone (views `lines` and `clicks` below), never from the project's models. The last part needs no data.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

PROJECT = Path(__file__).resolve().parents[2]
REAL_DATA = Path(os.environ.get("SHARED_DATA") or PROJECT.parent / "shared" / "data")


@dataclass(frozen=True)
class Built:
    """A data set as the project sees it (`rows` queries the warehouse) and as it came (`raw` queries the files)."""

    rows: Callable[[str], list[tuple]]
    raw: duckdb.DuckDBPyConnection
    as_of: str

    def by_key(self, sql: str) -> dict:
        """What a query on the warehouse gives: its first column to the others."""
        return keyed(self.rows(sql))

    def raw_by_key(self, sql: str) -> dict:
        """What a query on the raw files gives: its first column to the others; $as_of is the as-of date."""
        named = {"as_of": date.fromisoformat(self.as_of)} if "$as_of" in sql else {}
        return keyed(self.raw.execute(sql, named).fetchall())


def keyed(rows: list[tuple]) -> dict:
    """Rows by their first column, which must be a key; a single other column is given bare."""
    found = {row[0]: row[1] if len(row) == 2 else row[1:] for row in rows}
    assert len(found) == len(rows), "the first column is no key"
    return found


def differing(built: dict, expected: dict) -> dict:
    """The keys with unlike values: each to (built, expected). Numbers are equal as numbers, fractions to 1e-9."""
    nothing = "no row"
    pairs = {key: (built.get(key, nothing), expected.get(key, nothing)) for key in built.keys() | expected.keys()}
    return {key: pair for key, pair in sorted(pairs.items()) if not alike(*pair)}


def alike(built: object, expected: object) -> bool:
    """Whether two values are equal; floating ones up to 1e-9."""
    if isinstance(built, tuple) and isinstance(expected, tuple):
        return len(built) == len(expected) and all(map(alike, built, expected))
    if isinstance(built, float) or isinstance(expected, float):
        return built is not None and expected is not None and float(built) == pytest.approx(float(expected), abs=1e-9)
    return built == expected


def map_example(*arguments: object) -> subprocess.CompletedProcess:
    """Runs tools/map_example.py as a person does."""
    return subprocess.run(
        [sys.executable, PROJECT / "tools" / "map_example.py", *map(str, arguments)],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


@pytest.fixture(scope="session")
def build(dbt, tmp_path_factory) -> Callable[..., Built]:
    """`build("cdnow", "1997-09-30", "create view ...")` maps a data set, builds the project from it with all the tests
    that the data must pass, and gives it beside the raw files, seen through the SQL given. `more_columns` are added to
    the mapped events: what a file does not tell, and a test has to stand in for."""

    def build(name: str, as_of: str, raw_views: str, *selection: str, more_columns: str = "") -> Built:
        source = REAL_DATA / name
        if not source.is_dir():
            pytest.skip(f"the data set {name} is not in {REAL_DATA}")
        mapped = tmp_path_factory.mktemp(name)
        mapping = map_example(name, source, mapped)
        assert mapping.returncode == 0, mapping.stdout
        if more_columns:
            events = f"read_parquet('{mapped}/events.parquet')"
            duckdb.sql(f"copy (select *, {more_columns} from {events}) to '{mapped}/more.parquet'")
            (mapped / "more.parquet").replace(mapped / "events.parquet")
        taxonomy = PROJECT / "examples" / name / "event_taxonomy.csv"
        # Unit tests bring their own rows: they say nothing of this data.
        ran = dbt(
            "build", "--exclude-resource-type", "unit_test", *selection,
            env={"RAW_DATA": mapped, "TAXONOMY": taxonomy, "AS_OF": as_of},
        )  # fmt: skip
        assert ran.code == 0, ran.output
        raw = duckdb.connect()
        raw.execute("set variable source = ?", [str(source)])
        raw.execute(raw_views)
        return Built(ran.rows, raw, as_of)

    return build


# ---------------------------------------------------------------------------------------------------------------------
# cdnow: the 2,357 customers of the sample against the summary that was published of them


CDNOW_VIEWS = """
    create table lines as
    select
        cast(cast(substr(line, 8, 4) as integer) as varchar) as customer,
        strptime(substr(line, 13, 8), '%Y%m%d')::date as day,
        cast(trim(substr(line, 24)) as decimal(18, 2)) as amount
    from read_csv(
        getvariable('source') || '/CDNOW_sample.txt',
        columns = {'line': 'VARCHAR'}, auto_detect = false, header = false, delim = '|', quote = '', escape = ''
    );
    create table summary as
    select cast(ID as varchar) as customer, x, t_x, T, zbar
    from read_csv(
        getvariable('source') || '/cdnow_customers_summary_with_transactions.csv', header = true,
        types = {'x': 'INTEGER', 't_x': 'DECIMAL(9, 2)', 'T': 'DECIMAL(9, 2)', 'zbar': 'DECIMAL(9, 2)'}
    );
"""


@pytest.fixture(scope="session")
def cdnow(build) -> Built:
    """Customers of a record shop as of 1997-09-30, and the published summary."""
    return build("cdnow", "1997-09-30", CDNOW_VIEWS)


def in_weeks(days: int) -> Decimal:
    """Days as the summary prints them: weeks with two decimals (a number of days is never halfway)."""
    return round(Decimal(days) / 7, 2)


def test_cdnow_has_the_customers_of_the_published_summary(cdnow):
    built = {row[0] for row in cdnow.rows("select user_id from intermediate.int_user_metrics")}
    published = set(cdnow.raw_by_key("select customer, x from summary"))
    assert len(published) == 2357
    assert built ^ published == set()


def test_cdnow_purchase_frequency_is_the_published_one(cdnow):
    built = cdnow.by_key("select user_id, purchase_days_lifetime - 1 from intermediate.int_user_metrics")
    assert differing(built, cdnow.raw_by_key("select customer, x from summary")) == {}


def test_cdnow_recency_is_the_published_one(cdnow):
    built = cdnow.by_key(
        "select user_id, days_since_first_purchase - days_since_last_purchase from intermediate.int_user_metrics"
    )
    weeks = {user: in_weeks(days) for user, days in built.items()}
    assert differing(weeks, cdnow.raw_by_key("select customer, t_x from summary")) == {}


def test_cdnow_age_is_the_published_one(cdnow):
    built = cdnow.by_key("select user_id, days_since_first_purchase from intermediate.int_user_metrics")
    weeks = {user: in_weeks(days) for user, days in built.items()}
    assert differing(weeks, cdnow.raw_by_key("select customer, T from summary")) == {}


def test_cdnow_mean_repeat_value_is_the_published_one(cdnow):
    built = cdnow.by_key("select user_id, avg_purchase_day_revenue_repeat from intermediate.int_user_metrics")
    published = cdnow.raw_by_key("select customer, zbar from summary")
    # Printed with two decimals: up to half a cent away.
    off = {
        user: (built.get(user), zbar)
        for user, zbar in published.items()
        if abs(float(built[user]) - float(zbar)) > 0.005 + 1e-9
    }
    assert len(built) == len(published) and off == {}


def test_cdnow_purchases_after_the_as_of_date_leave_no_trace(cdnow):
    expected = cdnow.raw_by_key("select customer, count(*), sum(amount) from lines where day <= $as_of group by 1")
    later = cdnow.raw_by_key("select 'later', count(*) from lines where day > $as_of")["later"]
    built = cdnow.by_key("select user_id, purchases_lifetime, revenue_lifetime from intermediate.int_user_metrics")
    assert later > 1000
    assert differing(built, expected) == {}


def test_cdnow_every_line_is_an_event(cdnow):
    raw = cdnow.raw_by_key("select customer, count(*), sum(amount) from lines group by 1")
    built = cdnow.by_key("select user_id, count(*), sum(revenue) from intermediate.int_events group by 1")
    assert sum(count for count, _ in raw.values()) == 6919
    assert differing(built, raw) == {}


# ---------------------------------------------------------------------------------------------------------------------
# online_retail: a shop's invoice lines, with cancellations and with lines that have no customer


# A sale, as the data is usually cleaned: the customer is known, quantity and price are above 0.
SALE = "customer is not null and quantity > 0 and price > 0"
ONLINE_RETAIL_VIEWS = """
    create table lines as
    select
        InvoiceNo as invoice,
        StockCode as stock_code,
        Description as description,
        cast(Quantity as integer) as quantity,
        cast(UnitPrice as decimal(18, 3)) as price,
        cast(InvoiceDate as timestamp) as invoiced_at,
        cast(InvoiceDate as date) as day,
        cast(cast(cast(CustomerID as double) as integer) as varchar) as customer,
        Country as country
    from read_csv(
        getvariable('source') || '/*.csv.gz', header = true, quote = '"', escape = '"',
        types = {'InvoiceNo': 'VARCHAR', 'StockCode': 'VARCHAR', 'CustomerID': 'VARCHAR', 'UnitPrice': 'VARCHAR'}
    );
"""


@pytest.fixture(scope="session")
def online_retail(build) -> Built:
    """Six months of invoices of a gift shop, as of their last day. The files name no category of a thing: the thing
    itself stands in for it, so that there are many, and many of them bought equally often."""
    product = "properties ->> 'stock_code' as item_category"
    return build("online_retail", "2011-05-31", ONLINE_RETAIL_VIEWS, more_columns=product)


def test_online_retail_raw_files_are_the_known_ones(online_retail):
    """What is expected below rests on the cleaning that everybody does: it gives the numbers that are known of it."""
    found = online_retail.raw.execute(
        f"""
        select count(*), count(distinct invoice), count(distinct customer), round(sum(quantity * price), 2)
        from lines where {SALE}
        """
    ).fetchone()
    assert found == (145450, 7409, 2718, Decimal("3332591.96"))


def test_online_retail_people_are_the_customers_who_bought(online_retail):
    expected = set(online_retail.raw_by_key(f"select customer, 1 from lines where {SALE} group by 1"))
    built = {row[0] for row in online_retail.rows("select user_id from intermediate.int_user_metrics")}
    assert len(expected) == 2718
    assert built ^ expected == set()


def test_online_retail_purchase_days(online_retail):
    expected = online_retail.raw_by_key(
        f"""
        select
            customer,
            count(distinct day),
            count(distinct case when day > $as_of - 28 then day end),
            $as_of - min(day),
            $as_of - max(day)
        from lines where {SALE} group by customer
        """
    )
    built = online_retail.by_key(
        """
        select user_id, purchase_days_lifetime, purchase_days_28d, days_since_first_purchase, days_since_last_purchase
        from intermediate.int_user_metrics
        """
    )
    assert differing(built, expected) == {}


def test_online_retail_a_purchase_is_an_invoice_line(online_retail):
    expected = online_retail.raw_by_key(f"select customer, count(*) from lines where {SALE} group by customer")
    built = online_retail.by_key("select user_id, purchases_lifetime from intermediate.int_user_metrics")
    assert differing(built, expected) == {}


def test_online_retail_sales(online_retail):
    expected = online_retail.raw_by_key(f"select customer, sum(quantity * price) from lines where {SALE} group by 1")
    built = online_retail.by_key(
        "select user_id, sum(revenue) from intermediate.int_events where event_type = 'purchase' group by 1"
    )
    assert sum(built.values()) == Decimal("3332591.961")
    assert differing(built, expected) == {}


def test_online_retail_refunds(online_retail):
    expected = online_retail.raw_by_key(
        """
        select customer, count(*), sum(quantity * price)
        from lines where invoice like 'C%' and customer is not null group by 1
        """
    )
    built = online_retail.by_key(
        """
        select user_id, count(*), sum(revenue)
        from intermediate.int_events where event_type = 'refund' group by 1
        """
    )
    assert sum(count for count, _ in built.values()) == 3590
    assert sum(amount for _, amount in built.values()) == Decimal("-212103.87")
    assert differing(built, expected) == {}


def test_online_retail_revenue_is_net_of_refunds(online_retail):
    expected = online_retail.raw_by_key(
        f"""
        select
            customer,
            sum(quantity * price),
            coalesce(sum(case when day > $as_of - 28 then quantity * price end), 0)
        from lines
        where customer in (select customer from lines where {SALE}) and ({SALE} or invoice like 'C%')
        group by customer
        """
    )
    built = online_retail.by_key("select user_id, revenue_lifetime, revenue_28d from intermediate.int_user_metrics")
    assert differing(built, expected) == {}


def test_online_retail_mean_repeat_value(online_retail):
    expected = online_retail.raw_by_key(
        f"""
        with days as (
            select customer, day, sum(quantity * price) as total, min(day) over (partition by customer) as first_day
            from lines where {SALE} group by customer, day
        )
        select customer, coalesce(avg(total) filter (where day > first_day), 0) from days group by customer
        """
    )
    built = online_retail.by_key("select user_id, avg_purchase_day_revenue_repeat from intermediate.int_user_metrics")
    assert differing({user: float(value) for user, value in built.items()}, expected) == {}


def test_online_retail_rfm_scores(online_retail):
    """1 + floor(5 x buyers with a strictly worse value / buyers), counted one by one."""
    expected = online_retail.raw_by_key(
        f"""
        with buyers as (
            select
                customer,
                max(day) filter (where {SALE}) as last_day,
                count(distinct day) filter (where {SALE}) as days,
                sum(quantity * price) as revenue
            from lines where {SALE} or (invoice like 'C%' and customer is not null)
            group by customer having count(*) filter (where {SALE}) > 0
        )
        select
            us.customer,
            1 + 5 * count(*) filter (where them.last_day < us.last_day) // count(*),
            1 + 5 * count(*) filter (where them.days < us.days) // count(*),
            1 + 5 * count(*) filter (where them.revenue < us.revenue) // count(*)
        from buyers as us cross join buyers as them group by us.customer
        """
    )
    built = online_retail.by_key("select user_id, r_score, f_score, m_score from intermediate.int_user_metrics")
    assert differing(built, expected) == {}


def test_online_retail_value_tiers(online_retail):
    """By the share of the buyers who spent less, refunds taken off."""
    expected = online_retail.raw_by_key(
        f"""
        with buyers as (
            select customer, sum(quantity * price) as spent
            from lines
            where customer in (select customer from lines where {SALE}) and ({SALE} or invoice like 'C%')
            group by customer
        ),
        placed as (
            select us.customer, count(*) filter (where them.spent < us.spent) as below, count(*) as everybody
            from buyers as us cross join buyers as them group by us.customer
        )
        select customer, 5 * below >= 4 * everybody, 5 * below >= 2 * everybody from placed
        """
    )
    tiers = {
        customer: "high" if among_the_top_fifth else "mid" if not_among_the_low else "low"
        for customer, (among_the_top_fifth, not_among_the_low) in expected.items()
    }
    # 2,718 buyers: of equal sums there are few.
    assert Counter(tiers.values()) == {"high": 543, "mid": 1087, "low": 1088}
    assert differing(online_retail.by_key(flag_of("value_tier", "high", "mid", "low")), tiers) == {}


def test_online_retail_money_at_risk(online_retail):
    """The last purchase within a year, as all of them are, and none of the 30 days before the as-of date and itself: a
    cancellation is no visit. Nobody is on a plan or a trial, and everybody has bought."""
    last_sales = f"select customer, max(day) as last_day from lines where {SALE} group by customer"
    expected = online_retail.raw_by_key(f"select customer, 1 from ({last_sales}) where $as_of - last_day >= 30")
    assert 1000 < len(expected) < 2718
    assert members(online_retail, "seg_monetization", "revenue_at_risk") ^ set(expected) == set()
    others = "upgrade_ready or trial_converting or engaged_nonbuyer"
    assert members(online_retail, "seg_monetization", others) == set()


def test_online_retail_session_depth(online_retail):
    """A visit is the lines of invoices that lie up to half an hour apart: minutes, where two invoices follow."""
    expected = online_retail.raw_by_key(
        f"""
        with sales as (select distinct customer, invoiced_at, day from lines where {SALE}),
        pauses as (
            select *, invoiced_at - lag(invoiced_at) over (partition by customer order by invoiced_at) as pause
            from sales
        ),
        minutes as (
            select
                customer,
                -- No visit begins before the 28 days and ends in them: the shop is closed at night.
                sum(case when pause <= interval 30 minute then epoch(pause) / 60 else 0 end)
                / nullif(count(*) filter (where pause is null or pause > interval 30 minute), 0) as average
            from pauses where $as_of - day < 28 group by customer
        )
        select
            customer,
            case
                when average < 5 then 'short' when average < 30 then 'medium' when average >= 30 then 'long'
                else 'no_sessions'
            end
        from (select distinct customer from sales) left join minutes using (customer)
        """
    )
    sizes = Counter(expected.values())
    assert sizes["short"] > 500 and sizes["medium"] > 3 and sizes["no_sessions"] > 1000
    flags = flag_of("session_depth", "no_sessions", "short", "medium", "long")
    assert differing(online_retail.by_key(flags), expected) == {}


def test_online_retail_country_segments(online_retail):
    """One value for each country of the files, `unknown` for the three that have no code: whoever has one country alone
    tells which. The few with two are where they were seen last."""
    of_raw = online_retail.raw_by_key(
        f"""
        select customer, arg_max(country, invoiced_at), count(distinct country)
        from lines where customer in (select customer from lines where {SALE}) group by customer
        """
    )
    built = online_retail.by_key("select user_id, segment from segments.seg_country")
    assert built.keys() == of_raw.keys()
    uncoded = ("Channel Islands", "European Community", "Unspecified")
    codes: dict[str, set[str]] = {}
    for user, (name, countries) in of_raw.items():
        if countries == 1:
            codes.setdefault(name, set()).add(built[user])
    assert {name for name in codes if codes[name] == {"unknown"}} == {*uncoded} & {*codes}
    assert all(len(segments) == 1 for segments in codes.values())
    coded = [segment for name, (segment,) in codes.items() if name not in uncoded]
    assert len(set(coded)) == len(coded) > 25
    assert [*codes["United Kingdom"], *codes["EIRE"], *codes["Germany"]] == ["GB", "IE", "DE"]
    several = {user for user, (_, countries) in of_raw.items() if countries > 1}
    assert several and {user: {built[user]} for user in several} == {user: codes[of_raw[user][0]] for user in several}


def test_online_retail_countries_of_few_are_folded(online_retail):
    sizes = Counter(online_retail.by_key("select user_id, segment from segments.seg_country").values())
    expected = Counter()
    for segment, size in sizes.items():
        expected["other" if size < 5 else segment] += size
    assert expected["other"] > 10
    daily = "select segment, members from marts.fct_segment_daily where segment_set = 'country'"
    assert online_retail.by_key(daily) == expected


def test_online_retail_shopping_interest(online_retail):
    """What a customer bought most lines of; of equals what was bought last, then by name."""
    expected = online_retail.raw_by_key(
        f"""
        with things as (
            select customer, stock_code, count(*) as lines, max(invoiced_at) as last_at
            from lines where {SALE} group by customer, stock_code
        )
        select customer, first(stock_code order by lines desc, last_at desc, stock_code) from things group by customer
        """
    )
    assert len(set(expected.values())) > 500
    built = online_retail.by_key("select user_id, segment from segments.seg_shopping_interest")
    assert differing(built, expected) == {}


def test_online_retail_without_views_there_is_no_taste(online_retail):
    assert set(online_retail.rows("select segment from segments.seg_content_affinity")) == {("undecided",)}
    assert set(online_retail.rows("select segment from segments.seg_search_interest")) == {("none",)}


def test_online_retail_raw_lines_are_clean_rejected_or_duplicates(online_retail):
    raw = online_retail.raw.execute("select count(*) from lines").fetchone()[0]
    [(sent, rejected, usable, clean)] = online_retail.rows(
        """
        select
            (select count(*) from staging.base_generic__events),
            (select count(*) from staging.stg_generic__rejected_events),
            (select count(*) from staging.stg_generic__events),
            (select count(*) from intermediate.int_events)
        """
    )
    duplicates = usable - clean
    assert (raw, sent, clean, rejected, duplicates) == (209029, 209029, 149053, 59976, 0)


def test_online_retail_no_line_of_any_invoice_is_lost_or_changed(online_retail):
    """All 10,783 invoices, with a customer or without."""
    expected = online_retail.raw_by_key(
        """
        select invoice, count(*), sum(quantity), sum(quantity * price), min(invoiced_at), max(invoiced_at)
        from lines group by 1
        """
    )
    built = online_retail.by_key(
        """
        select properties ->> 'invoice', count(*), sum(quantity), sum(revenue), min(event_at), max(event_at)
        from staging.base_generic__events group by 1
        """
    )
    assert len(expected) == 10783
    assert differing(built, expected) == {}


def test_online_retail_lines_without_a_customer_are_rejected_with_the_reason(online_retail):
    expected = online_retail.raw_by_key("select invoice, count(*) from lines where customer is null group by 1")
    built = online_retail.by_key(
        "select properties ->> 'invoice', count(*) from staging.stg_generic__rejected_events group by 1"
    )
    reasons = online_retail.by_key(
        "select rejection_reason, count(*) from staging.stg_generic__rejected_events group by 1"
    )
    assert reasons == {"neither user_id nor anonymous_id": 59976}
    assert differing(built, expected) == {}


def test_online_retail_lines_alike_in_every_column_both_stay(online_retail):
    expected = online_retail.raw_by_key(
        """
        with alike as (
            select *, count(*) as copies from lines where customer is not null group by all having count(*) > 1
        )
        select stock_code, sum(copies) from alike group by 1
        """
    )
    built = online_retail.by_key(
        """
        with alike as (
            select
                event_at, user_id, country, quantity, revenue, properties, count(*) as copies
            from intermediate.int_events group by all having count(*) > 1
        )
        select properties ->> 'stock_code', sum(copies) from alike group by 1
        """
    )
    assert sum(expected.values()) > 3000
    assert differing(built, expected) == {}


def test_online_retail_every_country_that_has_a_code_gets_one(online_retail):
    names = online_retail.raw_by_key("select country, count(*) from lines group by 1")
    codes = online_retail.by_key("select country, count(*) from staging.base_generic__events group by 1")
    uncoded = [names.pop(name) for name in ("Channel Islands", "European Community", "Unspecified")]
    assert codes.pop(None) == sum(uncoded)
    assert all(len(code) == 2 and code.isupper() for code in codes)
    # One code a country: the sizes are the same.
    assert sorted(codes.values()) == sorted(names.values())
    assert (codes["GB"], codes["IE"], codes["US"]) == (names["United Kingdom"], names["EIRE"], names["USA"])


# ---------------------------------------------------------------------------------------------------------------------
# ecom_clickstream: what 600 visitors of a shop clicked on


ECOM_VIEWS = """
    create table clicks as
    select
        user_id, session_id, event, timestamp as clicked_at, timestamp::date as day, platform, acquisition_channel
    from read_csv(getvariable('source') || '/ecom.csv.gz', header = true);
"""
# The part that is known at the as-of date.
KNOWN = "(select *, $as_of - day as days_ago from clicks where day <= $as_of)"
ERRORS = "('error_page', 'payment_error', 'checkout_bug')"


@pytest.fixture(scope="session")
def ecom_at_the_end(build) -> Built:
    """The clicks as of their last day, with everything that the project builds."""
    return build("ecom_clickstream", "2024-06-29", ECOM_VIEWS)


@pytest.fixture(scope="session")
def ecom_a_month_before(build) -> Built:
    """The same clicks as of a day a month before their last, so that there are later ones to leave out. The file names
    neither a category nor what was searched for: the hour of the click stands in for the one, the three minutes for
    the other, so that some are shared by many and some by few."""
    # Buildable: no test of a segment set that is not built here.
    selection = ("--indirect-selection", "buildable", "--select", "+path:models/segments")
    hour = "case when event_name <> 'search' then strftime(event_at, '%H h') end as item_category"
    # As people type: some shout, and some leave spaces.
    three_minutes = """
        case when event_name = 'search' then
            case when second(event_at) % 2 = 0 then '  Part  OF ' else 'part of' end || strftime(event_at, ' %H ')
            || minute(event_at) // 3
        end as search_query
    """
    return build("ecom_clickstream", "2024-05-31", ECOM_VIEWS, *selection, more_columns=f"{hour}, {three_minutes}")


@pytest.fixture(params=["ecom_at_the_end", "ecom_a_month_before"])
def ecom(request) -> Built:
    """The clicks, as of each of two days."""
    return request.getfixturevalue(request.param)


def members(ecom: Built, model: str, flag: str) -> set[str]:
    """Who has the flag in a segment set."""
    return {row[0] for row in ecom.rows(f"select user_id from segments.{model} where {flag}")}


def flag_of(name: str, *flags: str) -> str:
    """A query for the one flag of an exclusive set that each user has; its name is no flag's for who has several."""
    names = " || ".join(f"case when {flag} then '{flag}' else '' end" for flag in flags)
    return f"select user_id, {names} from segments.seg_{name}"


def chosen(ecom: Built, condition: str, per_user: str) -> set[str]:
    """The users of a query on the raw clicks (one row a user) for whom a condition holds."""
    return set(ecom.raw_by_key(f"select user_id, 1 from ({per_user}) where {condition}"))


def test_ecom_every_click_is_an_event(ecom_at_the_end):
    raw = ecom_at_the_end.raw_by_key(
        "select user_id, count(*), min(clicked_at), max(clicked_at) from clicks group by 1"
    )
    built = ecom_at_the_end.by_key(
        "select user_id, count(*), min(event_at), max(event_at) from intermediate.int_events group by 1"
    )
    assert (len(raw), sum(count for count, *_ in raw.values())) == (600, 31106)
    assert differing(built, raw) == {}


def test_ecom_every_event_name_has_a_type(ecom_at_the_end):
    raw = {row[0] for row in ecom_at_the_end.raw.execute("select distinct event from clicks").fetchall()}
    listed = {row[0] for row in ecom_at_the_end.rows("select event_name from staging.stg_generic__event_taxonomy")}
    assert len(raw) == 19
    assert raw ^ listed == set()


def test_ecom_people_are_those_who_came_by_then(ecom):
    expected = ecom.raw_by_key(f"select user_id, 1 from {KNOWN} group by 1")
    built = ecom.by_key("select user_id, 1 from intermediate.int_user_metrics")
    assert len(expected) == {"2024-06-29": 600, "2024-05-31": 597}[ecom.as_of]
    assert differing(built, expected) == {}


# A visit ends with a pause of more than 30 minutes.
SESSIONS = f"""
    with pauses as (
        select *, clicked_at - lag(clicked_at) over (partition by user_id order by clicked_at) as pause
        from {KNOWN}
    ),
    numbered as (
        select *, count(*) filter (where pause is null or pause > interval 30 minute) over (
            partition by user_id order by clicked_at rows between unbounded preceding and current row
        ) as session_number
        from pauses
    ),
    sessions as (
        select
            user_id,
            session_number,
            $as_of - min(day) as days_ago,
            epoch(max(clicked_at) - min(clicked_at)) / 60 as minutes
        from numbered group by 1, 2
    )
"""


def test_ecom_sessions(ecom):
    expected = ecom.raw_by_key(
        f"""
        {SESSIONS}
        select
            user_id,
            count(*),
            count(*) filter (where days_ago < 28),
            count(*) filter (where days_ago < 7),
            coalesce(avg(minutes) filter (where days_ago < 28), 0)
        from sessions group by user_id
        """
    )
    built = ecom.by_key(
        """
        select user_id, sessions_lifetime, sessions_28d, sessions_7d, avg_session_minutes_28d
        from intermediate.int_user_metrics
        """
    )
    assert sum(sessions_28d > 0 for _, sessions_28d, *_ in expected.values()) > 100
    assert differing(built, expected) == {}


def test_ecom_sessions_are_as_many_as_the_collector_counted(ecom_at_the_end):
    [(built,)] = ecom_at_the_end.rows("select sum(sessions_lifetime) from intermediate.int_user_metrics")
    [(raw,)] = ecom_at_the_end.raw.execute("select count(distinct session_id) from clicks").fetchall()
    assert built == raw == 3605


def test_ecom_active_days(ecom):
    expected = ecom.raw_by_key(
        f"""
        select
            user_id,
            count(distinct day),
            count(distinct case when days_ago < 28 then day end),
            count(distinct case when days_ago < 7 then day end),
            max(days_ago),
            min(days_ago)
        from {KNOWN} group by user_id
        """
    )
    built = ecom.by_key(
        """
        select
            user_id, active_days_lifetime, active_days_28d, active_days_7d, days_since_first_active,
            days_since_last_active
        from intermediate.int_user_metrics
        """
    )
    assert differing(built, expected) == {}


# Days since a cart (checkout) was left open: none bought at that moment or later.
CARTS = f"""
    with last_times as (
        select
            user_id,
            max(clicked_at) filter (where event = 'add_to_cart') as cart_at,
            max(clicked_at) filter (where event = 'shipping_details') as checkout_at,
            coalesce(max(clicked_at) filter (where event = 'purchase'), timestamp '1970-01-01') as purchase_at
        from {KNOWN} group by user_id
    )
    select
        user_id,
        case when cart_at > purchase_at then $as_of - cart_at::date end as cart_days,
        case when checkout_at > purchase_at then $as_of - checkout_at::date end as checkout_days
    from last_times
"""


def test_ecom_open_carts_and_checkouts(ecom):
    expected = ecom.raw_by_key(CARTS)
    built = ecom.by_key(
        "select user_id, days_since_abandoned_cart, days_since_abandoned_checkout from intermediate.int_user_metrics"
    )
    assert sum(cart is not None for cart, _ in expected.values()) > 200
    assert differing(built, expected) == {}


@pytest.mark.parametrize("flag, days", [("cart_abandoner", "cart_days"), ("checkout_abandoner", "checkout_days")])
def test_ecom_cart_segments(ecom, flag, days):
    expected = chosen(ecom, f"{days} between 1 and 7", CARTS)
    assert len(expected) > 20
    assert members(ecom, "seg_cart", flag) ^ expected == set()


SUPPORT = f"""
    select
        user_id,
        count(*) filter (where event = 'support_chat' and days_ago < 28) as contacts,
        count(*) filter (where event in {ERRORS} and days_ago < 28) as errors,
        count(*) filter (where event = 'search' and days_ago < 28) as searches
    from {KNOWN} group by user_id
"""


def test_ecom_support_contacts_errors_and_searches(ecom):
    built = ecom.by_key(
        """
        select user_id, support_contacts_28d + support_views_28d, errors_28d, searches_28d
        from intermediate.int_user_metrics
        """
    )
    assert differing(built, ecom.raw_by_key(SUPPORT)) == {}


@pytest.mark.parametrize(
    "flag, condition, sizes",
    [
        # How many there are at the end, and a month before.
        ("frequent_support_visitor", "contacts >= 3", (2, 6)),
        ("technical_trouble", "errors >= 3", (2, 9)),
        ("silent_sufferer", "errors >= 3 and contacts = 0", (1, 0)),
    ],
)
def test_ecom_support_segments(ecom, flag, condition, sizes):
    expected = chosen(ecom, condition, SUPPORT)
    assert len(expected) == sizes[ecom.as_of == "2024-05-31"]
    assert members(ecom, "seg_support", flag) ^ expected == set()


# A tablet is mobile; a day with both counts in both.
DEVICES = f"""
    select
        user_id,
        count(distinct day) filter (where platform in ('mobile', 'tablet') and days_ago < 90) as m,
        count(distinct day) filter (where platform = 'desktop' and days_ago < 90) as d
    from {KNOWN} group by user_id
"""


def test_ecom_mobile_and_desktop_days(ecom):
    built = ecom.by_key(
        "select user_id, mobile_active_days_90d, desktop_active_days_90d from intermediate.int_user_metrics"
    )
    assert differing(built, ecom.raw_by_key(DEVICES)) == {}


@pytest.mark.parametrize(
    "flag, condition",
    [
        ("mobile_first", "m > 0 and m >= 4 * d"),
        ("desktop_first", "d > 0 and d >= 4 * m"),
        ("multi_platform", "m > 0 and d > 0 and m < 4 * d and d < 4 * m"),
        ("unknown", "m = 0 and d = 0"),
    ],
)
def test_ecom_platform_segments(ecom, flag, condition):
    expected = chosen(ecom, condition, DEVICES)
    assert expected
    assert members(ecom, "seg_platform", flag) ^ expected == set()


def test_ecom_channel_and_device_are_those_of_the_file(ecom):
    """One channel a user in the file; the device is the last one seen (no user has two in one second)."""
    expected = ecom.raw_by_key(
        f"select user_id, any_value(acquisition_channel), arg_max(platform, clicked_at) from {KNOWN} group by user_id"
    )
    built = ecom.by_key("select user_id, channel, device_type from intermediate.int_user_metrics")
    assert differing(built, expected) == {}


def test_ecom_session_depth(ecom):
    expected = ecom.raw_by_key(
        f"""
        {SESSIONS},
        averages as (
            select user_id, avg(minutes) filter (where days_ago < 28) as average from sessions group by user_id
        )
        select
            user_id,
            case
                when average is null then 'no_sessions'
                when average < 5 then 'short'
                when average < 30 then 'medium'
                else 'long'
            end
        from averages
        """
    )
    sizes = Counter(expected.values())
    assert min(sizes[depth] for depth in ("no_sessions", "short", "medium")) > 10
    flags = flag_of("session_depth", "no_sessions", "short", "medium", "long")
    assert differing(ecom.by_key(flags), expected) == {}


BUYING = f"""
    select
        user_id,
        count(distinct day) filter (where days_ago < 28) as active_days,
        min(days_ago) as last_active,
        min(days_ago) filter (where event = 'purchase') as last_bought
    from {KNOWN} group by user_id
"""


@pytest.mark.parametrize(
    "flag, condition, sizes",
    [
        # How many there are at the end, and a month before. The file knows no plans.
        ("engaged_nonbuyer", "active_days >= 7 and last_bought is null", (1, 0)),
        ("revenue_at_risk", "last_bought < 365 and last_active >= 30", (72, 49)),
        ("upgrade_ready", "false", (0, 0)),
        ("trial_converting", "false", (0, 0)),
    ],
)
def test_ecom_monetization_segments(ecom, flag, condition, sizes):
    expected = chosen(ecom, condition, BUYING)
    assert len(expected) == sizes[ecom.as_of == "2024-05-31"]
    assert members(ecom, "seg_monetization", flag) ^ expected == set()


@pytest.mark.parametrize(
    "name, flag",
    [
        # No sign-up, no core action, no answer and no message is in the file.
        ("journey", "aware"),
        ("core_workflow", "not_started"),
        ("attitude", "unsurveyed"),
        ("prompt_response", "uncontacted"),
    ],
)
def test_ecom_of_what_the_file_does_not_tell_everybody_has_none(ecom, name, flag):
    everybody = set(ecom.raw_by_key(f"select user_id, 1 from {KNOWN} group by 1"))
    assert members(ecom, f"seg_{name}", flag) ^ everybody == set()


def test_ecom_nobody_is_pressed_without_messages(ecom):
    assert members(ecom, "seg_contact_pressure", "over_contacted or do_not_disturb") == set()


def test_ecom_channels_and_devices_are_segments_and_other_traits_are_not_known(ecom):
    expected = ecom.raw_by_key(
        f"select user_id, any_value(acquisition_channel), arg_max(platform, clicked_at) from {KNOWN} group by user_id"
    )
    for place, name in enumerate(("channel", "device")):
        built = ecom.by_key(f"select user_id, segment from segments.seg_{name}")
        assert differing(built, {user: traits[place] for user, traits in expected.items()}) == {}
    for name in ("plan", "country", "language", "signup_cohort"):
        assert set(ecom.rows(f"select segment from segments.seg_{name}")) == {("unknown",)}


def test_ecom_without_a_category_nobody_has_an_interest(ecom_at_the_end):
    assert set(ecom_at_the_end.rows("select segment from segments.seg_content_affinity")) == {("undecided",)}
    for name in ("shopping_interest", "search_interest"):
        assert set(ecom_at_the_end.rows(f"select segment from segments.seg_{name}")) == {("none",)}


VIEWED = "('product_view', 'compare', 'review_page')"


def test_ecom_content_affinity(ecom_a_month_before):
    """The hour of most days, of those with three views; of equals the one viewed last, then by name."""
    expected = ecom_a_month_before.raw_by_key(
        f"""
        with hours as (
            select
                user_id,
                strftime(clicked_at, '%H h') as hour,
                count(distinct day) as days,
                max(clicked_at) as last_at,
                count(*) >= 3 as is_enough
            from {KNOWN} where days_ago < 90 and event in {VIEWED} group by user_id, hour
        )
        select
            user_id,
            coalesce(first(hour order by days desc, last_at desc, hour) filter (where is_enough), 'undecided')
        from (select distinct user_id from {KNOWN}) left join hours using (user_id) group by user_id
        """
    )
    sizes = Counter(expected.values())
    assert len(sizes) > 15 and 100 < sizes["undecided"] < 500
    built = ecom_a_month_before.by_key("select user_id, segment from segments.seg_content_affinity")
    assert differing(built, expected) == {}


def test_ecom_shopping_interest(ecom_a_month_before):
    """The hour of most purchases, for who has none the one of most views; of equals the last, then by name."""
    expected = ecom_a_month_before.raw_by_key(
        f"""
        with hours as (
            select
                user_id,
                strftime(clicked_at, '%H h') as hour,
                event = 'purchase' as is_bought,
                count(*) as times,
                max(clicked_at) as last_at
            from {KNOWN} where days_ago < 365 and (event in {VIEWED} or event = 'purchase') group by all
        )
        select
            user_id, coalesce(first(hour order by is_bought desc, times desc, last_at desc, hour), 'none')
        from (select distinct user_id from {KNOWN}) left join hours using (user_id) group by user_id
        """
    )
    assert len(set(expected.values())) > 15 and "none" in expected.values()
    built = ecom_a_month_before.by_key("select user_id, segment from segments.seg_shopping_interest")
    assert differing(built, expected) == {}


def test_ecom_search_interest(ecom_a_month_before):
    """The three minutes of most days among those that ten users searched in; of equals the last, then by name."""
    expected = ecom_a_month_before.raw_by_key(
        f"""
        with terms as (
            select
                user_id,
                'part of ' || strftime(clicked_at, '%H ') || minute(clicked_at) // 3 as term,
                count(distinct day) as days,
                max(clicked_at) as last_at
            from {KNOWN} where days_ago < 90 and event = 'search' group by user_id, term
        ),
        counted as (select *, count(*) over (partition by term) >= 10 as is_shared from terms)
        select
            user_id,
            coalesce(
                first(term order by days desc, last_at desc, term) filter (where is_shared),
                case when count(term) > 0 then 'other' else 'none' end
            )
        from (select distinct user_id from {KNOWN}) left join counted using (user_id) group by user_id
        """
    )
    sizes = Counter(expected.values())
    assert len(sizes) > 15 and sizes["none"] > 30 and sizes["other"] > 30
    built = ecom_a_month_before.by_key("select user_id, segment from segments.seg_search_interest")
    assert differing(built, expected) == {}



# ---------------------------------------------------------------------------------------------------------------------
# The mappings on a few lines of our own: these need no data


RETAIL_HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
RETAIL_LINES = [
    '1,A,"A ""BIG"", RED BOX",2,2011-01-05 10:00:00,1.255,17850.0,EIRE',
    "1,B,BAG,3,2011-01-05 10:00:00,2.0,17850.0,EIRE",
    "1,B,BAG,3,2011-01-05 10:00:00,2.0,17850.0,EIRE",
    "C2,B,BAG,-1,2011-01-06 09:30:00,2.0,17850.0,EIRE",
    "3,B,BAG,1,2011-01-06 11:00:00,0.0,17850.0,Channel Islands",
    "4,B,damaged,-7,2011-01-06 12:00:00,0.0,,United Kingdom",
]


@pytest.fixture()
def retail_lines(tmp_path) -> Callable[[list[str]], list[tuple]]:
    """Maps some lines of online_retail, and gives the events sorted by their id."""

    def mapped(lines: list[str]) -> list[tuple]:
        source, out = tmp_path / "source", tmp_path / "out"
        source.mkdir(exist_ok=True)
        (source / "2011-01-05.csv").write_text("\n".join([RETAIL_HEADER, *lines]) + "\n", encoding="utf-8")
        ran = map_example("online_retail", source, out)
        assert (ran.returncode, ran.stdout) == (0, f"online_retail: {len(lines)} rows of events in {out}\n")
        return duckdb.execute(
            """
            select event_id, event_name, user_id, country, quantity, revenue, properties ->> 'description'
            from read_parquet(?) order by event_id
            """,
            [str(out / "events.parquet")],
        ).fetchall()

    return mapped


def test_each_invoice_line_becomes_the_event_it_is(retail_lines):
    assert retail_lines(RETAIL_LINES) == [
        ("1-1", "item_bought", "17850", "IE", 2, Decimal("2.510"), 'A "BIG", RED BOX'),
        ("1-2", "item_bought", "17850", "IE", 3, Decimal("6.000"), "BAG"),
        ("1-3", "item_bought", "17850", "IE", 3, Decimal("6.000"), "BAG"),
        ("3-1", "item_given", "17850", None, 1, Decimal("0.000"), "BAG"),
        ("4-1", "stock_adjusted", None, "GB", -7, Decimal("0.000"), "damaged"),
        ("C2-1", "item_cancelled", "17850", "IE", -1, Decimal("-2.000"), "BAG"),
    ]


def test_the_order_of_the_lines_changes_no_event(retail_lines):
    assert retail_lines(RETAIL_LINES[::-1]) == retail_lines(RETAIL_LINES)


@pytest.mark.parametrize("name", ["cdnow", "ecom_clickstream", "online_retail"])
def test_an_example_without_its_files_is_one_clear_line(tmp_path, name):
    ran = map_example(name, tmp_path, tmp_path / "out")
    assert ran.returncode == 1
    assert ran.stdout.startswith(f"SOURCE_FOLDER: {tmp_path} is not what examples/{name} reads: ")
    assert ran.stdout.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_file_of_something_else_is_one_clear_line_and_the_last_output_stays(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "events.parquet").write_text("the last good one", encoding="utf-8")
    (tmp_path / "CDNOW_sample.txt").write_text("name,colour\nbox,red\n", encoding="utf-8")
    ran = map_example("cdnow", tmp_path, out)
    assert ran.returncode == 1
    assert ran.stdout.startswith(f"SOURCE_FOLDER: {tmp_path} is not what examples/cdnow reads: ")
    assert ran.stdout.count("\n") == 1
    assert {file.name: file.read_text() for file in out.iterdir()} == {"events.parquet": "the last good one"}


def test_files_without_a_row_are_one_clear_line(tmp_path):
    (tmp_path / "2011-01-05.csv").write_text(RETAIL_HEADER + "\n", encoding="utf-8")
    ran = map_example("online_retail", tmp_path, tmp_path / "out")
    assert (ran.returncode, ran.stdout) == (
        1,
        f"SOURCE_FOLDER: examples/online_retail/mapping.sql makes no row of events from {tmp_path}\n",
    )


def test_an_unknown_example_names_those_there_are(tmp_path):
    ran = map_example("cdnew", tmp_path, tmp_path / "out")
    assert (ran.returncode, ran.stdout) == (
        1,
        "NAME: there is no example 'cdnew'; use one of cdnow, ecom_clickstream, online_retail\n",
    )


def test_a_missing_source_folder_is_one_clear_line(tmp_path):
    ran = map_example("cdnow", tmp_path / "nowhere", tmp_path / "out")
    assert (ran.returncode, ran.stdout) == (
        1,
        f"SOURCE_FOLDER: there is no folder {tmp_path / 'nowhere'}; examples/cdnow/README.md says where the data is\n",
    )


def test_an_output_that_is_no_folder_is_one_clear_line(tmp_path):
    (tmp_path / "CDNOW_sample.txt").write_text(" 00004 0001 19970101  2   29.33\n", encoding="utf-8")
    (tmp_path / "out").write_text("a file", encoding="utf-8")
    ran = map_example("cdnow", tmp_path, tmp_path / "out")
    assert ran.returncode == 1
    assert ran.stdout.startswith(f"OUT_FOLDER: cannot write to {tmp_path / 'out'}: ")
    assert ran.stdout.count("\n") == 1
