"""Write the sample: half a year of raw data of Larder, a made-up product.

People plan meals and cook them from recipes (the core workflow), and order ingredient boxes (the shop), on the web and
in two apps. The data looks like what a collector lands: plausible behaviour, by persona, with the dirt of real data.

    python tools/sample.py [--seed 7] [--out seeds/sample]

The same seed gives the same bytes on any machine: one random generator, no clock, no hash order.

180 days, 2024-01-02 to 2024-06-29, in UTC; the extract was made on the morning after. What is in it on purpose:

- some 650 known users, 200 visitors who never log in, and one bot (a session of two days);
- most users were anonymous before they signed up; many have two or three devices; four pairs share a tablet;
- 20 orders of 2023, imported from an older shop: from the server, without received_at, 18 of them over a year old;
- six users known by a provisional id at first, joined by aliases; one by a chain of two (a merged account);
- orders in USD, EUR and GBP, a handful in SEK, which has no exchange rate, and some without a currency;
- text that breaks careless readers: quotes, commas, line breaks, emoji, JSON in a column;
- a few countries in lower case or `XX`; some users with no row, or with gaps or `n/a` in it, in users.csv.

The dirt in the events is counted in `DIRT`: rows of each kind.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

# Moments are whole seconds since START, and days whole days since it, until they are written.
START = datetime(2024, 1, 2)
DAY, DAYS = 86_400, 180
LAST_DAY, END = DAYS - 1, DAYS * DAY
EXTRACTED = END + 6 * 3600

COLUMNS = {
    "events": "event_id event_name event_at received_at user_id anonymous_id session_id platform device_type os country"
              " language channel page_path referrer item_category search_query quantity revenue currency properties",
    "users": "user_id updated_at signed_up_at plan country language channel birth_year",
    "aliases": "previous_id user_id aliased_at",
    "feedback": "feedback_id user_id kind score comment submitted_at",
    "exchange_rates": "currency day rate",
}

DIRT = {
    "copied": 120,            # the whole row twice
    "delivered_again": 150,   # the same event_id with a later received_at, some stamped 1 to 3 seconds later
    "id_used_again": 6,       # one event_id on two days
    "late": 220,              # received 1 to 20 days after it happened
    "clock_hours_ahead": 12,  # event_at up to 20 hours after received_at, which is accepted
    "bad_revenue": 4,         # "12,50"
    "bad_quantity": 4,        # "two"
    # From here on rows are to be rejected.
    "no_event_id": 12,
    "no_event_name": 10,
    "no_person": 15,          # neither user_id nor anonymous_id
    "bad_time": 3,            # each of "yesterday", nothing, and a date that does not exist
    "clock_days_ahead": 8,    # event_at 3 days, or a year, after received_at
}


class Persona(NamedTuple):
    """A way to use the product. Pairs are (least, most) of a uniform draw; chances are per visit unless said."""

    name: str
    users: int
    joins: tuple[int, int]   # day of sign-up
    stays: tuple[int, int]   # days from sign-up to the last visit
    quiet: tuple[int, int]   # days without a visit at the end of the sample, at least
    returns: bool            # visits on the very last day, after the quiet days
    daily: float             # chance of a visit on a day
    cooks: float             # chance to cook
    orders: tuple[int, int, int, int]  # days between two orders (least, most), number of orders (least, most)
    carts: float             # chance to leave a cart behind
    errors: float            # chance to meet errors
    helps: float             # chance to look for help
    plan: str                # see write_plan
    mails: float             # chance to be sent a week's newsletter
    opens: float             # chance to open a mail
    nps: tuple[int, int]     # score when asked


ALL, NOW, NEVER = (DAYS, DAYS), (0, 0), (0, 0, 0, 0)
PERSONAS = [Persona(*row) for row in [
    # name            users joins       stays      quiet     back   daily cooks orders         carts err. helps plan      mails opens nps
    ("daily_cook",        6, (30, 140),  ALL,       NOW,      False, .88, .50, (30, 60, 0, 3),  .01, .02, .01, "any",     .30, .70, (8, 10)),
    ("keen_cook",         9, (40, 148),  ALL,       NOW,      False, .58, .40, (30, 60, 0, 3),  .02, .02, .01, "any",     .30, .60, (7, 10)),
    ("weekly_regular",   16, (20, 150),  ALL,       NOW,      False, .33, .30, (30, 50, 0, 2),  .03, .03, .02, "any",     .25, .50, (6, 10)),
    ("occasional",       64, (0, 168),   ALL,       NOW,      False, .04, .22, NEVER,           .06, .04, .03, "free",    .12, .35, (5, 9)),
    ("box_fan",          17, (10, 145),  ALL,       NOW,      False, .04, .15, (7, 13, 4, 99),  .05, .04, .04, "any",     .25, .55, (6, 10)),
    ("former_fan",       12, (0, 12),    (75, 95),  NOW,      False, .02, .10, (6, 9, 8, 12),   .04, .05, .05, "lapsed",  .10, .05, (2, 8)),
    ("some_boxes",       70, (0, 140),   (40, 150), NOW,      False, .02, .10, (15, 40, 2, 5),  .08, .04, .04, "free",    .12, .25, (5, 9)),
    ("one_box",          45, (0, 175),   (1, 40),   NOW,      False, .03, .08, (3, 12, 1, 1),   .05, .05, .05, "free",    .10, .15, (3, 9)),
    ("trialist",         16, (165, 176), ALL,       NOW,      False, .40, .60, (9, 20, 0, 1),   .05, .05, .05, "trial",   .10, .60, (6, 10)),
    ("ex_trialist",      20, (0, 140),   (10, 25),  NOW,      False, .20, .35, (9, 20, 0, 1),   .05, .05, .05, "lapsed",  .10, .10, (3, 8)),
    ("newcomer",          9, (179, 179), ALL,       NOW,      False, .00, .25, NEVER,           .10, .03, .05, "free",    .00, .00, (7, 9)),
    ("slipping_away",    40, (0, 110),   ALL,       (5, 45),  False, .05, .20, (30, 60, 0, 2),  .06, .05, .04, "any",     .25, .05, (3, 8)),
    ("drifted_off",     120, (0, 145),   (2, 60),   (20, 99), False, .03, .18, NEVER,           .05, .04, .03, "free",    .10, .10, (3, 8)),
    ("one_visit",       125, (0, 178),   (0, 0),    NOW,      False, .00, .15, NEVER,           .08, .04, .04, "free",    .08, .08, (4, 8)),
    ("back_in_weeks",     6, (20, 130),  ALL,       (7, 28),  True,  .05, .20, NEVER,           .05, .03, .03, "free",    .20, .30, (6, 9)),
    ("back_in_months",    6, (0, 80),    ALL,       (31, 90), True,  .05, .20, (40, 60, 0, 1),  .05, .03, .03, "free",    .10, .30, (6, 9)),
    ("window_shopper",   22, (60, 165),  ALL,       NOW,      False, .11, .05, NEVER,           .50, .03, .05, "free",    .20, .10, (5, 8)),
    ("never_finishes",   16, (60, 165),  ALL,       NOW,      False, .07, .00, NEVER,           .04, .10, .05, "free",    .10, .25, (4, 7)),
    ("asks_for_help",     9, (90, 165),  ALL,       NOW,      False, .16, .15, (20, 40, 0, 2),  .04, .50, .70, "any",     .10, .40, (0, 7)),
    ("suffers_silently", 11, (90, 165),  ALL,       NOW,      False, .14, .15, (20, 40, 0, 2),  .10, .60, .00, "free",    .10, .20, (0, 6)),
    ("old_shop",         12, (5, 60),    (0, 60),   NOW,      False, .02, .10, NEVER,           .05, .05, .05, "free",    .10, .10, (5, 9)),
    ("visitor",         200, (0, 179),   (0, 25),   NOW,      False, .02, .00, NEVER,           .06, .03, .02, "none",    .00, .00, (5, 5)),
]]

PLACES = [  # country, language, currency, weight
    ("US", "en", "USD", 30), ("DE", "de", "EUR", 16), ("GB", "en", "GBP", 13), ("FR", "fr", "EUR", 9),
    ("NL", "nl", "EUR", 7), ("ES", "es", "EUR", 5), ("IT", "it", "EUR", 5), ("CA", "en", "USD", 4),
    ("AT", "de", "EUR", 3), ("BR", "pt", "USD", 3), ("PL", "pl", "EUR", 2), ("SE", "sv", "SEK", 2),
    ("JP", "ja", "USD", 1),
]
DEVICES = [  # platform, device_type, os, weight
    ("ios", "mobile", "iOS", 28), ("android", "mobile", "Android", 27), ("web", "desktop", "Windows", 18),
    ("web", "desktop", "macOS", 9), ("web", "mobile", "Android", 8), ("ios", "tablet", "iPadOS", 7),
    ("web", "desktop", "Linux", 3),
]
CHANNELS = {"organic": 30, "direct": 20, "paid_search": 15, "paid_social": 12, "referral": 9, "email": 6,
            "affiliate": 5, "partner": 3}
REFERRERS = {"organic": "https://search.example/", "paid_search": "https://search.example/?ad=1",
             "paid_social": "https://social.example/", "referral": "https://foodblog.example/",
             "affiliate": "https://deals.example/?id=42", "partner": "https://kitchenware.example/"}
CATEGORIES = {"Quick & easy": 9, "Vegetarian": 8, "Pasta": 7, "Baking": 5, "Grill": 4, "Soups, stews": 4, "Asian": 4}
PORTION_CENTS = {"Quick & easy": 790, "Vegetarian": 690, "Pasta": 640, "Baking": 550, "Grill": 1090,
                 "Soups, stews": 720, "Asian": 850}
SEARCHES = {"chicken curry": 60, "Chicken Curry": 12, "vegan": 50, " vegan ": 9, "pasta": 50, "lasagne": 40,
            "pancakes": 32, "banana bread": 25, "soup": 20, "gluten free": 16, "crème brûlée": 8, "🍕": 5,
            '"best" ragù': 3, "salad, no onions": 2, "eggs\nmilk\nflour": 2, "jollof rice": 1, "tofu 100%": 1}
RECIPES = ["Nonna's \"Sunday\" ragù", "Miso soup", "Dal", "Tarte, apple"]
COMMENTS = {
    "nps": ["", "", "", "Great food 😍, slow app", "Tasty, but pricey", 'Add "undo", please', "Good recipes.\nToo few."],
    "csat": ["", "", "Quick answer, thanks", "Waited 20 minutes,\nthen the chat closed", 'Was told to "try again"'],
    "ces": ["", "", "", "Checkout was easy", "Could not find the coupon field 🤷"],
}
# Weight of a visit to start in each hour of the day: meals, and some night owls.
HOURS = [2, 1, 0, 0, 0, 1, 3, 5, 5, 4, 4, 6, 7, 5, 4, 5, 8, 12, 14, 12, 9, 7, 5, 4]


@dataclass
class Person:
    """Who makes the events; user_id is empty for somebody who never logs in."""

    user_id: str
    persona: Persona
    country: str
    language: str
    currency: str
    channel: str
    devices: list[dict]  # the columns of events that belong to the device
    favourite: str       # category
    joined: int
    subscribed: bool
    new_here: bool       # signs up in these days, rather than before them
    signed_in: list[str] = field(default_factory=list)  # anonymous_ids that know the user
    visited: list[int] = field(default_factory=list)    # days


def stamp(moment: int | str) -> str:
    """Give seconds since START as ISO 8601 text in UTC; text (no time, or a broken one) stays as it is."""
    return moment if isinstance(moment, str) else f"{START + timedelta(seconds=moment):%Y-%m-%dT%H:%M:%SZ}"


class Sample:
    """The tables under construction: lists of dicts, with moments still as numbers."""

    def __init__(self, seed: int):
        """Make every table, from `seed` alone."""
        self.rng = random.Random(seed)
        self.tables: dict[str, list[dict]] = {name: [] for name in COLUMNS}
        self.events = self.tables["events"]
        self.ids = 0
        self.people = self.make_people()
        for person in self.people:
            self.live(person)
        self.make_bot()
        self.make_old_orders()
        self.make_aliases()
        self.make_rates()
        self.make_dirt()
        self.events.sort(key=lambda row: row["event_at"] if row["received_at"] == "" else row["received_at"])
        self.tables["feedback"].sort(key=lambda row: row["submitted_at"])

    def chance(self, probability: float) -> bool:
        """Toss a coin that comes up with this probability."""
        return self.rng.random() < probability

    def pick(self, weights: dict[str, int]) -> str:
        """Draw one key by weight."""
        return self.rng.choices(list(weights), list(weights.values()))[0]

    def next_id(self, prefix: str, bits: int = 24) -> str:
        """Give an id that looks random and is new: an odd factor maps numbers below 2**bits one to one."""
        self.ids += 1
        return f"{prefix}_{self.ids * 2_654_435_761 % (1 << bits):0{bits // 4}x}"

    def event(self, name: str, at: int, properties: dict | None = None, **values) -> None:
        """Add an event, unless it lies after the sample. It arrives within a minute; nobody knows when history did."""
        if at < END:
            row = dict.fromkeys(COLUMNS["events"].split(), "")
            row.update(event_id=self.next_id("e", 32), event_name=name, event_at=at, **values)
            row["received_at"] = at + self.rng.randint(0, 60) if at >= 0 else ""
            row["properties"] = json.dumps(properties, ensure_ascii=False) if properties else ""
            self.events.append(row)

    def make_people(self) -> list[Person]:
        """Draw everybody; then give one tablet to each of four pairs, and some old clients their odd countries."""
        personas = [persona for persona in PERSONAS for _ in range(persona.users)]
        self.rng.shuffle(personas)
        people = [self.make_person(f"u_{number:04d}", persona) for number, persona in enumerate(personas, 1)]
        sharers = [person for person in people if person.persona.name in ("weekly_regular", "some_boxes")][:8]
        for first, second in zip(sharers[::2], sharers[1::2]):
            tablet = self.make_device(DEVICES[5])
            first.devices.insert(0, tablet)
            second.devices.insert(0, tablet)
        visitors = [person for person in people if not person.user_id]
        for person, country in zip(visitors, ["XX", "de", "gb", "XX"]):
            person.country = country
        return people

    def make_person(self, user_id: str, persona: Persona) -> Person:
        """Draw the traits and devices of one person."""
        rng, known = self.rng, persona.name != "visitor"
        country, language, currency, _ = rng.choices(PLACES, [place[3] for place in PLACES])[0]
        devices = rng.choices([1, 2, 3], [62, 30, 8])[0] if known else 1
        joined = rng.randint(*persona.joins)
        return Person(
            user_id if known else "", persona, country, "en" if self.chance(.1) else language, currency,
            channel=self.pick(CHANNELS), favourite=self.pick(CATEGORIES), joined=joined,
            devices=[self.make_device(kind) for kind in rng.choices(DEVICES, [kind[3] for kind in DEVICES], k=devices)],
            subscribed=known and self.chance(.7), new_here=joined > 12 or self.chance(.3),
        )

    def make_device(self, kind: tuple) -> dict:
        """Give a new browser or installed app."""
        return {"anonymous_id": self.next_id("d"), "platform": kind[0], "device_type": kind[1], "os": kind[2]}

    def live(self, person: Person) -> None:
        """Make everything one person does: the visits, then what follows from them."""
        persona, rng = person.persona, self.rng
        last = LAST_DAY - rng.randint(*persona.quiet)
        person.joined = min(person.joined, last)
        last = min(last, person.joined + rng.randint(*persona.stays))
        least, most, fewest, many = persona.orders
        order_days, day = [], person.joined + rng.randint(0, least)
        for number in range(rng.randint(fewest, many)):
            if number < fewest or day <= last:
                order_days.append(min(day, last))
            day += rng.randint(least, most)
        must = [person.joined, *order_days] + [last] * (persona.quiet != NOW)
        person.visited = [day for day in range(person.joined, last + 1) if day in must or self.chance(persona.daily)]
        person.visited += [LAST_DAY] * persona.returns
        if person.user_id and person.new_here and person.joined > 3:
            for _ in range(rng.choices([0, 1, 2], [45, 35, 20])[0]):
                Visit(self, person, person.joined - rng.randint(1, 3), stranger=True).browse()
        for day in person.visited:
            Visit(self, person, day).run(orders=day in order_days)
            if self.chance(.04):
                Visit(self, person, day).browse()
        if person.user_id:
            self.write_plan(person)
            self.send_mails(person)
            self.ask(person, "nps", .33, rng.choice(person.visited) * DAY + rng.randint(DAY // 2, DAY - 1), persona.nps)

    def write_plan(self, person: Person) -> None:
        """Write one user's history to users: free; a trial of 14 days; then plus; cancelled, free again."""
        rng, rows, plan = self.rng, self.tables["users"], person.persona.plan
        if self.chance(.06):
            return
        signed_up = (person.joined if person.new_here else -rng.randint(5, 300)) * DAY + rng.randint(0, DAY // 2)
        trial = (person.joined + rng.randint(0, 2)) * DAY + rng.randint(DAY // 2, DAY - 1)
        if plan == "any":
            plan = rng.choices(["free", "plus", "lapsed"], [55, 35, 10])[0]
        steps = [(signed_up, "free")]
        if plan != "free":
            steps.append((trial, "trial"))
        if plan == "plus" or (plan == "lapsed" and self.chance(.4)):
            steps.append((trial + 14 * DAY, "plus"))
        if plan == "lapsed":
            steps.append((trial + rng.randint(20, 60) * DAY, "free"))
        has_gaps, birth_year = self.chance(.1), rng.randint(1948, 2006) if self.chance(.5) else ""
        for moment, name in steps:
            if moment < END:
                rows.append({
                    "user_id": person.user_id, "plan": name, "language": person.language,
                    "updated_at": "" if plan == "free" and self.chance(.03) else moment,
                    "signed_up_at": "" if has_gaps else signed_up, "country": "" if has_gaps else person.country,
                    "channel": "" if self.chance(.3) else person.channel,
                    "birth_year": "n/a" if len(rows) in (50, 500) else birth_year,
                })

    def send_mails(self, person: Person) -> None:
        """Send newsletters while somebody is about, mails in a trial, and the summer sale to who leaves carts."""
        persona, rng = person.persona, self.rng
        if not person.subscribed:
            return
        about = range(person.joined + 1, min(DAYS, person.visited[-1] + 45))
        plan = [(day, "newsletter") for day in about if day % 7 == 2 and self.chance(persona.mails)]
        if persona.plan == "trial":
            plan += [(person.joined + offset, "welcome") for offset in (0, 1, 2, 4, 5, 6)]
        if persona.carts > .3 or (persona.name == "slipping_away" and self.chance(.3)):
            plan += [(day, "summer_sale") for day in range(DAYS - 7, DAYS) if self.chance(.85)]
        for day, campaign in sorted(plan):
            sent = day * DAY + 16 * 3600 + rng.randint(0, 1800)
            self.mail(person, campaign, sent, sent + rng.randint(60, 30 * 3600) if self.chance(persona.opens) else END)
            if campaign == "newsletter" and self.chance(.05):
                self.event("unsubscribed", sent + rng.randint(60, DAY), user_id=person.user_id, platform="web")
                return

    def mail(self, person: Person, campaign: str, sent: int, opened: int) -> None:
        """Send one mail; the server reports both moments, where they lie in the sample."""
        for name, at in (("email_sent", sent), ("email_opened", opened)):
            self.event(name, at, {"campaign": campaign}, user_id=person.user_id, platform="server")

    def ask(self, person: Person, kind: str, probability: float, at: int, scores: tuple[int, int]) -> None:
        """Let a known person answer a survey, perhaps."""
        if person.user_id and at < END and self.chance(probability):
            self.tables["feedback"].append({
                "feedback_id": self.next_id("f"), "user_id": person.user_id, "kind": kind, "submitted_at": at,
                "score": self.rng.randint(*scores), "comment": self.rng.choice(COMMENTS[kind]),
            })

    def order(self, person: Person, at: int, context: dict) -> None:
        """Add an order, now and then followed by a refund of all of it or of one portion."""
        rng, category = self.rng, person.favourite if self.chance(.7) else self.pick(CATEGORIES)
        quantity, order_id = rng.choice([2, 2, 3, 4, 4, 6]), self.next_id("o")
        cents = PORTION_CENTS[category] * quantity + rng.choice([0, 499])
        unnamed = person.currency == "USD" and self.chance(.1)
        paid = {"item_category": category, "currency": "" if unnamed else person.currency}
        coupon = {"coupon": "SPRING10"} if self.chance(.15) else {}
        self.event("order_completed", at, {"order_id": order_id, **coupon},
                   quantity=quantity, revenue=f"{cents / 100:.2f}", **paid, **context)
        if context["user_id"] and self.chance(.07):
            back = cents if self.chance(.6) else PORTION_CENTS[category]
            self.event("order_refunded", at + rng.randint(DAY, 9 * DAY), {"order_id": order_id, "reason": 'box "warm"'},
                       user_id=person.user_id, platform="server", revenue=f"{-back / 100:.2f}", **paid)

    def make_bot(self) -> None:
        """A crawler that never pauses for half an hour, for two days: one session, however long."""
        at, bot = 101 * DAY + 7 * 3600, {**self.make_device(DEVICES[6]), "country": "US"}
        while at < 103 * DAY + 9 * 3600:
            self.event("page_viewed", at, page_path=f"/recipes/{self.rng.randint(1, 400)}", **bot)
            at += self.rng.randint(600, 1700)

    def make_old_orders(self) -> None:
        """Orders imported from the shop before this one, so that somebody bought over a year ago and not since."""
        buyers = [person for person in self.people if person.persona.name == "old_shop"]
        for number, person in enumerate(buyers + buyers[:8]):
            # Day -185 is the first of the 365 days that end with the sample; the others lie before it.
            day = -185 if number in (10, 11) else -186 - number
            person.currency = "USD"
            at = day * DAY + self.rng.randint(9 * 3600, 20 * 3600)
            self.order(person, at, {"user_id": person.user_id, "platform": "server"})

    def make_aliases(self) -> None:
        """Give the early events of six users the id they had then: provisional, and once an account merged since."""
        frequent = [person for person in self.people if person.user_id and person.new_here and len(person.visited) > 8]
        for number, person in enumerate(frequent[:6]):
            own = [row for row in self.events if row["user_id"] == person.user_id]
            # From the latest id to the first, each with the visit that it was replaced at.
            user_id, chain = person.user_id, [("u_9001", 5)] * (number == 0) + [(f"p_{number + 1:04d}", 2)]
            for previous_id, visit in chain:
                moment = person.visited[visit] * DAY
                self.tables["aliases"].append({"previous_id": previous_id, "user_id": user_id, "aliased_at": moment})
                for row in own:
                    if row["event_at"] < moment:
                        row["user_id"] = previous_id
                user_id = previous_id

    def make_rates(self) -> None:
        """What one unit is worth in USD, a slow walk in ten-thousandths; SEK is left out on purpose."""
        for currency, rate in (("EUR", 10_950), ("GBP", 12_700)):
            for day in range(DAYS):
                rate += self.rng.randint(-30, 30)
                self.tables["exchange_rates"].append(
                    {"currency": currency, "day": stamp(day * DAY)[:10], "rate": f"{rate / 10_000:.4f}"})

    def make_dirt(self) -> None:
        """Spoil the events: each row in one way, and those to be rejected are extra rows, so that behaviour stays."""
        rng, rows = self.rng, self.events
        rest = [row for row in rows if 0 <= row["event_at"] < END - 3 * DAY]
        rng.shuffle(rest)

        def take(kind: str, name: str = "") -> list[dict]:
            """Take rows out of `rest` for a kind of dirt, only those of one event where a name is given."""
            taken = [row for row in rest if name in ("", row["event_name"])][:DIRT[kind]]
            for row in taken:
                rest.remove(row)
            return taken

        for row in take("bad_revenue", "order_completed"):
            row["revenue"] = row["revenue"].replace(".", ",")
        for row in take("bad_quantity", "order_completed"):
            row["quantity"] = "two"
        for row in take("late"):
            row["received_at"] = min(row["event_at"] + rng.randint(DAY, 20 * DAY), EXTRACTED)
        for row in take("clock_hours_ahead"):
            row["received_at"] = row["event_at"] - rng.randint(1, 20) * 3600
        for row in take("id_used_again"):
            other = next(other for other in rest if other["event_at"] // DAY != row["event_at"] // DAY)
            rest.remove(other)
            row["event_id"] = other["event_id"]
        rows += [dict(row) for row in take("copied")]
        for row in take("delivered_again"):
            again = row["event_at"] + (rng.randint(1, 3) if row["event_at"] % DAY < DAY - 3 and self.chance(.3) else 0)
            rows.append({**row, "event_at": again, "received_at": row["received_at"] + rng.randint(90, 2 * DAY)})

        broken = [("no_event_name", {"event_name": ""}), ("no_person", {"user_id": "", "anonymous_id": ""})]
        broken += [("bad_time", {"event_at": text}) for text in ("yesterday", "", "2024-13-45T25:61:00Z")]
        for kind, values in broken:
            rows += [{**row, "event_id": self.next_id("e", 32), **values} for row in take(kind)]
        rows += [{**row, "event_id": ""} for row in take("no_event_id")]
        for number, row in enumerate(take("clock_days_ahead")):
            wrong = row["received_at"] + (3, 366)[number % 2] * DAY
            rows.append({**row, "event_id": self.next_id("e", 32), "event_at": wrong})

    def write(self, folder: Path) -> str:
        """Write one CSV file a table to `folder`, and give a line with the number of rows of each."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in self.tables.items():
            with open(folder / f"{name}.csv", "w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS[name].split(), lineterminator="\n")
                writer.writeheader()
                for row in rows:
                    writer.writerow({key: stamp(value) if key.endswith("_at") else value for key, value in row.items()})
        return ", ".join(f"{len(rows)} {name}" for name, rows in self.tables.items())


class Visit:
    """One visit on one device: a clock that moves on with every event."""

    def __init__(self, sample: Sample, person: Person, day: int, stranger: bool = False):
        """Start at a likely hour, on the last day early enough to be over by its end; a stranger does not sign in."""
        self.sample, self.person, self.rng = sample, person, sample.rng
        hour = self.rng.choices(range(24), HOURS)[0]
        self.at = day * DAY + (hour % 20 if day == LAST_DAY else hour) * 3600 + self.rng.randint(0, 3599)
        device = person.devices[0]
        if not stranger:
            device = self.rng.choices(person.devices, [6, 3, 2, 1][:len(person.devices)])[0]
        self.web = device["platform"] == "web"
        self.signs_in = bool(person.user_id) and not stranger and device["anonymous_id"] not in person.signed_in
        signed_in = device["anonymous_id"] in person.signed_in and sample.chance(.93)
        self.context = {
            **device, "user_id": person.user_id if signed_in else "", "language": person.language,
            "session_id": sample.next_id("s") if self.web else "",
            "country": sample.pick({"ES": 2, "FR": 1, "TH": 1}) if sample.chance(.01) else person.country,
        }

    def step(self, name: str, wait: tuple[int, int], path: str = "", properties: dict | None = None, **values) -> None:
        """Do something, some seconds (least, most) after the step before; apps have no pages."""
        self.at += self.rng.randint(*wait)
        self.sample.event(name, self.at, properties, page_path=path if self.web else "", **values, **self.context)

    def enter(self) -> None:
        """Arrive, perhaps by a message, and sign in where this device does not know the person yet."""
        sample, person, rng = self.sample, self.person, self.rng
        channel = person.channel if not person.signed_in or sample.chance(.2) else "direct"
        if self.context["user_id"] and person.subscribed and self.at > DAY and sample.chance(.04):
            if self.web:
                channel = "email"
                sample.mail(person, "dish_of_the_day", self.at - rng.randint(600, 7200), self.at - 20)
                self.step("email_clicked", (0, 0), "/", {"campaign": "dish_of_the_day"})
            else:
                sample.event("push_sent", self.at - rng.randint(10, 3600), {"campaign": "dinner_time"},
                             user_id=person.user_id, platform="server")
                self.step("push_opened", (0, 0), "", {"campaign": "dinner_time"})
        if self.web:
            self.step("page_viewed", (1, 5), "/", channel=channel, referrer=REFERRERS.get(channel, ""))
        else:
            self.step("app_opened", (1, 5), channel=channel)
        if self.signs_in:
            self.context["user_id"] = person.user_id
            self.step("logged_in" if person.signed_in or not person.new_here else "signed_up", (20, 180), "/welcome")
            person.signed_in.append(self.context["anonymous_id"])

    def browse(self) -> None:
        """Arrive and look at a recipe or two, after a search now and then."""
        self.enter()
        sample, person = self.sample, self.person
        category = person.favourite if sample.chance(.75) else sample.pick(CATEGORIES)
        if sample.chance(.3):
            self.step("search_performed", (5, 60), "/search", search_query=sample.pick(SEARCHES))
        for _ in range(self.rng.choices([0, 1, 2], [35, 50, 15])[0]):
            self.step("recipe_viewed", (10, 200), f"/recipes/{self.rng.randint(1, 400)}", item_category=category)

    def run(self, orders: bool) -> None:
        """A whole visit: browse, then what the persona is likely to do."""
        sample, person, persona, rng = self.sample, self.person, self.person.persona, self.rng
        self.browse()
        if sample.chance(persona.cooks):
            self.cook()
        elif persona.name == "never_finishes" or sample.chance(.03):
            self.step("cook_started", (20, 200), "/cook")
        if orders or sample.chance(persona.carts):
            self.shop(orders)
        if sample.chance(persona.errors):
            for _ in range(rng.randint(1, 3)):
                self.step("error_shown", (2, 40), "", {"code": rng.choice(["E_TIMEOUT", "E_PAYMENT", "E_SYNC"])})
        if sample.chance(persona.helps):
            for _ in range(rng.randint(1, 2)):
                self.step("help_article_viewed", (10, 120), f"/help/{rng.randint(1, 30)}")
            if sample.chance(.5):
                self.step("support_chat_opened", (10, 120), "/help/chat")
                sample.ask(person, "csat", .6, self.at + 1800, (1, 5))
        if self.context["user_id"] and persona.cooks >= .3 and sample.chance(.015):
            self.step("friend_invited", (10, 90), "/invite", {"via": rng.choice(["link", "mail"])})
        if sample.chance(.03):
            self.step("settings_opened", (5, 60), "/settings", {"section": rng.choice(["diet", "notifications"])})

    def cook(self) -> None:
        """The core workflow: sometimes a plan before, sometimes timers, nearly always to the end."""
        sample, rng = self.sample, self.rng
        if sample.chance(.15):
            self.step("meal_plan_saved", (30, 200), "/plan", {"days": rng.randint(2, 7)})
        self.step("cook_started", (20, 200), "/cook")
        for _ in range(rng.choices([0, 1, 2], [65, 25, 10])[0]):
            self.step("timer_set", (400, 1500), "/cook", {"minutes": rng.randint(5, 25)})
        if sample.chance(.92):
            self.step("meal_cooked", (600, 1800), "/cook", {"recipe": rng.choice(RECIPES), "rating": rng.randint(2, 5)})

    def shop(self, buys: bool) -> None:
        """Fill a cart, and buy it or leave it behind, before the checkout or in it."""
        sample, box = self.sample, {"item_category": self.person.favourite}
        self.step("box_viewed", (10, 100), "/boxes", **box)
        self.step("box_added_to_cart", (10, 120), "/boxes", quantity=self.rng.choice([2, 3, 4]), **box)
        if buys or sample.chance(.5):
            self.step("checkout_started", (20, 200), "/checkout")
        if buys:
            self.at += self.rng.randint(40, 300)
            sample.order(self.person, self.at, self.context)
            sample.ask(self.person, "ces", .08, self.at + 60, (2, 7))


def main() -> None:
    """Read the command line, write the files, print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=7, help="another seed gives other people (default 7)")
    parser.add_argument("--out", type=Path, default=Path("seeds/sample"), help="folder (default seeds/sample)")
    options = parser.parse_args()
    print(f"{options.out}: {Sample(options.seed).write(options.out)}")


if __name__ == "__main__":
    main()
