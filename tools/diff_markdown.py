"""Writes down what tools/diff.py found, as Markdown that a reviewer reads from the top: who moves, then set by set."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from decimal import Decimal

import sqlglot
from diff_compare import Comparison, Example, Size
from sqlglot import exp

# A comment on GitHub holds 65,536 characters.
MOST_CHARACTERS = 60_000
# An attribute set may have a value for every country.
MOST_ROWS = 25
MOST_LETTERS = 60
# What every set reads besides its own model: a change there may move members of all of them.
MEMBERSHIP = "fct_segment_membership"
METRICS = "int_user_metrics"


@dataclass(frozen=True)
class Version:
    """One of the two versions: its name, dbt's manifest, and what the proof said (sets and errors), or why nothing."""

    name: str
    manifest: dict
    proof: dict | str

    def sets(self) -> dict[str, dict]:
        """The models of the segment sets, by the name of the set."""
        nodes = self.manifest["nodes"].values()
        models = [node for node in nodes if node["resource_type"] == "model" and node["name"].startswith("seg_")]
        return {node["name"].removeprefix("seg_"): node for node in models}

    def declared(self, segment_set: str) -> dict:
        """What the YAML says of a set; nothing where it is not there."""
        node = self.sets().get(segment_set) or {}
        return (node.get("config") or {}).get("meta", {}).get("segment_set") or {}

    def proof_of(self, segment_set: str) -> dict:
        """What the proof says of a set; nothing where it says nothing."""
        return self.proof["sets"].get(segment_set) or {} if isinstance(self.proof, dict) else {}

    def ancestors(self, node_id: str) -> set[str]:
        """The ids of everything that a model reads, however far up."""
        return reached(self.manifest["parent_map"], node_id)

    def descendants(self, node_id: str) -> set[str]:
        """The ids of everything that reads a model, however far down."""
        return reached(self.manifest["child_map"], node_id)


@dataclass(frozen=True)
class Change:
    """What is compared: both versions, the modified models with what was modified, and where the warehouses are."""

    before: Version
    after: Version
    modified: dict[str, str]
    warehouses: tuple[str, str]


def reached(edges: dict[str, list[str]], start: str) -> set[str]:
    """All that can be reached from a node of the graph, without itself."""
    found, waiting = set(), list(edges.get(start, []))
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += edges.get(node, [])
    return found


def nothing_to_compare(base_name: str) -> str:
    """The Markdown where no file differs that decides about segments."""
    return (
        f"# Segment diff: {base_name} to the working tree\n\n**No user moves.** "
        "No model, macro, seed or setting that decides about segments is changed.\n"
    )


def report(change: Change, comparison: Comparison) -> tuple[str, str]:
    """The Markdown of a comparison: in full, and cut where a comment on GitHub would be too long."""
    movers = comparison.movers()
    sections = {}
    for name in touched_sets(change, movers):
        sections[name] = set_section(change, comparison, name, movers.get(name, 0))
    top = [*summary(change, comparison, movers, list(sections)), *metric_section(change, comparison)]
    end = how_to_resolve(change) if movers else [""]

    kept, left_out, room = [], [], MOST_CHARACTERS - len("\n".join([*top, *end]))
    for name, lines in sections.items():
        room -= len("\n".join(lines)) + 1
        if room > 0 and not left_out:
            kept += lines
        else:
            left_out.append(name)
    if left_out:
        listed = ", ".join(left_out)
        kept += ["", f"**Left out, since a comment has no room for them: {listed}.** `make diff` shows all."]
    everything = [line for lines in sections.values() for line in lines]
    return "\n".join([*top, *everything, *end]), "\n".join([*top, *kept, *end])


def how_to_resolve(change: Change) -> list[str]:
    """How whoever may read the warehouse finds the users behind the hashes."""
    return [
        "", f"Who an example is, `{change.warehouses[1]}` says (who is there only before: `{change.warehouses[0]}`),",
        "or any warehouse of the same data:", "", "```sql",
        "select user_id from marts.dim_users where md5(user_id) like '<example>%'", "```", "",
    ]  # fmt: skip


# The top


def touched_sets(change: Change, movers: dict[str, int]) -> list[str]:
    """The sets to show: those not edited whose members move come first, then the edited ones; most movers first."""
    names = set(movers) | {
        name for name in change.before.sets().keys() | change.after.sets().keys() if edited(change, name)
    }
    return sorted(names, key=lambda name: (bool(edited(change, name)), -movers.get(name, 0), name))


def edited(change: Change, segment_set: str) -> str:
    """What was edited of a set: its SQL, its YAML, both; nothing where it was not edited."""
    before, after = change.before.sets().get(segment_set), change.after.sets().get(segment_set)
    if before is None or after is None:
        return "new" if before is None and after else "removed" if before else ""
    yaml_keys = ("description", "columns", "meta", "unrendered_config")
    # What follows from the contract is neither: only what a person wrote counts.
    parts = ["SQL"] if before["raw_code"] != after["raw_code"] else []
    parts += ["YAML"] if any(before[key] != after[key] for key in yaml_keys) else []
    return " and ".join(parts)


def summary(change: Change, comparison: Comparison, movers: dict[str, int], touched: list[str]) -> list[str]:
    """The headline, what is surprising, a line a set, and what else was modified."""
    lines = [f"# Segment diff: {change.before.name} to {change.after.name}", ""]
    if movers:
        lines += [f"**{counted(comparison.all_movers(), 'user moves', 'users move')}**, in {', '.join(movers)}."]
    else:
        lines += ["**No user moves.**"]
    if surprising := {name: users for name, users in movers.items() if not edited(change, name)}:
        listed = ", ".join(f"{name} ({counted(users, 'user', 'users')})" for name, users in surprising.items())
        lines += ["", "> [!WARNING]", f"> **Not edited, but their members move: {listed}.**"]
    (day_before, day_after), (before, after, gone, new) = comparison.days(), comparison.people()
    if day_before != day_after:
        lines += ["", f"**As of {day_before} before and {day_after} after:** part of what follows is the other day."]
    else:
        lines += ["", f"As of {day_before}, both from the same raw data."]
    people = f"People: {before:,} before, {after:,} after."
    if gone or new:
        people += f" {gone:,} are there only before, {new:,} only after."
    lines += [people]
    if touched:
        rows = []
        for name in touched:
            what = edited(change, name) or "**not edited**"
            proofs = [verdict(version, name) for version in (change.before, change.after)]
            rows.append([name, what, f"{movers.get(name, 0):,}", *proofs])
        lines += ["", *table(["set", "edited", "users who move", "proof before", "proof after"], rows, right={2})]
    for word, version in (("before", change.before), ("after", change.after)):
        if isinstance(version.proof, dict) and version.proof["errors"]:
            lines += ["", f"The proof {word} does not understand everything:", ""]
            lines += [f"- {' '.join(error.split())}" for error in version.proof["errors"]]
    others = {name: how for name, how in change.modified.items() if name.removeprefix("seg_") not in touched}
    if others:
        lines += ["", "Modified besides:", ""]
        for name, how in others.items():
            lines += [f"- {name} ({how}); {readers(change.after, name)}"]
    return lines


def metric_section(change: Change, comparison: Comparison) -> list[str]:
    """The metrics whose values change, the new ones and the ones removed; nothing where there are none."""
    base, head = comparison.columns("base"), comparison.columns("head")
    rows = [[name, f"{users:,}"] for name, users in comparison.changed_metrics.items()]
    rows += [[name, "new"] for name in head if name not in base]
    rows += [[name, "removed"] for name in base if name not in head]
    if not rows:
        return []
    sets = change.before.sets() | change.after.sets()
    for row in rows:
        row.append(", ".join(sorted(name for name, node in sets.items() if row[0] in words(code_of(node)))) or "no set")
    return ["", "## Metrics", "", *table(["metric", "users whose value changes", "read by"], rows, right={1})]


# A set


def set_section(change: Change, comparison: Comparison, name: str, users: int) -> list[str]:
    """Everything about one set."""
    declared = change.after.declared(name) or change.before.declared(name)
    kind = f"{declared.get('overlap', 'overlap not stated')}, {declared.get('coverage', 'coverage not stated')}"
    how_many = counted(users, "user moves", "users move") if users else "No user moves"
    what = edited(change, name)
    lines = ["", f"## {name}", "", f"**{how_many}** in this set ({kind})."]
    others = moved_by(change, comparison, name)
    if what:
        lines += [f"Edited: {what}." + (f" Also touched by {others}." if others else "")]
    else:
        lines += [f"**Not edited.** Moved by {others or 'what no model shows'}."]
    if name not in {row[0] for row in comparison.rows("select distinct segment_set from head_segments")}:
        lines += ["", "Not in `vars.segment_sets`: no mart has it after the change."]
    lines += predicate_lines(change, comparison, name)
    lines += size_lines(comparison, name)
    if users:
        if declared.get("overlap") != "overlapping":
            rows = [[state(before), state(after), f"{moved:,}"] for before, after, moved in comparison.flows(name)]
            lines += ["", *table(["from", "to", "users"], rows, right={2})]
        lines += beside_lines(comparison, name)
        lines += example_lines(change, comparison, name)
    lines += [""]
    for word, version in (("before", change.before), ("after", change.after)):
        lines += [f"- proof {word}: {verdict(version, name)}", *proof_details(version, name)]
    return [*lines, f"- {readers(change.after if name in change.after.sets() else change.before, f'seg_{name}')}"]


def moved_by(change: Change, comparison: Comparison, name: str) -> str:
    """The modified models that a set reads or that read all sets, and its metrics whose values change."""
    # The set's own way from the raw data, and the model in which all sets come together.
    above = {
        node.rsplit(".", 1)[-1]
        for version in (change.before, change.after)
        for node in version.ancestors(model_id(version, f"seg_{name}")) | {model_id(version, MEMBERSHIP)}
    }
    models = [f"{model} ({how})" for model, how in change.modified.items() if model in above]
    named = words(code_of(change.after.sets().get(name) or {}))
    metrics = [metric for metric in comparison.changed_metrics if metric in named]
    return ", ".join(models) + (f", through {', '.join(metrics)}" if metrics else "")


def predicate_lines(change: Change, comparison: Comparison, name: str) -> list[str]:
    """The predicates that differ as a diff, and what else differs in the SQL."""
    before, after = comparison.predicates("base", name), comparison.predicates("head", name)
    flags = [*after, *(flag for flag in before if flag not in after)]
    lines = []
    for flag in flags:
        if before.get(flag) != after.get(flag):
            lines += [f"@@ {flag} @@"]
            lines += [f"- {before[flag]}"] if flag in before else []
            lines += [f"+ {after[flag]}"] if flag in after else []
    codes = [code_of(version.sets().get(name) or {}) for version in (change.before, change.after)]
    if all(codes) and rest_of_code(codes[0], before) != rest_of_code(codes[1], after):
        differing = difflib.unified_diff(*[text.splitlines() for text in codes], lineterm="", n=1)
        lines += [f"@@ seg_{name}.sql, beside its predicates @@", *list(differing)[2:]]
    if lines:
        return ["", "```diff", *lines, "```"]
    if "SQL" in edited(change, name):
        return ["", "No predicate differs: only comments or the layout were edited."]
    return []


def code_of(node: dict) -> str:
    """The SQL of a model without its comments and empty lines."""
    # A comment begins at two hyphens with an even number of quotes before them.
    bare = [re.sub(r"^((?:[^']|'[^']*')*?)--.*$", r"\1", line) for line in node.get("raw_code", "").splitlines()]
    return "\n".join(line.rstrip() for line in bare if line.strip())


def rest_of_code(sql: str, predicates: dict[str, str]) -> str:
    """The SQL of a set without its predicates: its population, mostly. All blanks alike."""
    text = " ".join(sql.split())
    for flag, predicate in predicates.items():
        text = text.replace(f"{predicate} as {flag}", "")
    return re.sub(r"[\s,]+", " ", text)


def size_lines(comparison: Comparison, name: str) -> list[str]:
    """The sizes of the segments before and after."""
    sizes = {size.segment: size for size in comparison.sizes(name)}
    rows = [
        [code(size.segment), f"{size.before:,}", f"{size.after:,}", change_of(size),
         f"{size.entered:,}", f"{size.left:,}"]
        for size in sizes.values()
    ]  # fmt: skip
    documented = comparison.predicates("base", name) | comparison.predicates("head", name)
    rows += [[code(flag), *["0"] * 5] for flag in documented if flag not in sizes and flag != "segment"]
    if not rows:
        return []
    return ["", *table(["segment", "before", "after", "change", "entered", "left"], rows, right={1, 2, 3, 4, 5})]


def change_of(size: Size) -> str:
    """By how much a segment grows, with a plus; no sign where it does not."""
    return f"{size.after - size.before:+,}" if size.after != size.before else "0"


def beside_lines(comparison: Comparison, name: str) -> list[str]:
    """How those who moved differ from those who stayed."""
    metrics, found = comparison.moved_and_stayed(name)
    rows = [[what, f"{users:,}", *[number(value) for value in averages]] for what, users, *averages in found]
    heading = ["", "users", *[f"average {metric}" for metric in metrics]]
    return ["", *table(heading, rows, right=set(range(1, len(heading))))]


def example_lines(change: Change, comparison: Comparison, name: str) -> list[str]:
    """A few users who moved, each with the metric that decides."""
    predicates = comparison.predicates("base", name), comparison.predicates("head", name)
    codes = tuple(code_of(version.sets().get(name) or {}) for version in (change.before, change.after))
    rows = []
    for example in comparison.examples(name):
        metrics = deciding_metrics(example, predicates, codes)
        values = [value_of(metric, example) for metric in metrics]
        rows.append([f"`{example.hash}`", state(example.before), state(example.after), "; ".join(values)])
    return ["", *table(["example", "from", "to", "what decides"], rows)]


def deciding_metrics(example: Example, predicates: tuple[dict, dict], codes: tuple[str, str]) -> list[str]:
    """The metrics that moved a user: those of the predicates left and entered, or of the population, whose value
    differs; else those of the conditions that were edited; else those on edited lines of the set; else all of the
    predicates left and entered."""
    crossed = set(example.before) ^ set(example.after)
    metrics = {**example.metrics_before, **example.metrics_after}

    def named(texts: list[str] | set[str]) -> list[str]:
        used = {word for text in texts for word in words(text)}
        return [metric for metric in metrics if metric in used]

    # An attribute set has one predicate, whatever the segment.
    before, after = ([side[flag] for flag in sorted(crossed | {"segment"}) if flag in side] for side in predicates)
    if example.metrics_before and example.metrics_after:
        population = [rest_of_code(text, side) for text, side in zip(codes, predicates)]
        read = named([*before, *after, *population])
        if differing := [name for name in read if example.metrics_before.get(name) != example.metrics_after.get(name)]:
            return differing
    edited_conditions = conditions(before) ^ conditions(after)
    lines = set(codes[0].splitlines()) ^ set(codes[1].splitlines())
    return named(edited_conditions) or named(lines) or named([*before, *after])


def conditions(predicates: list[str]) -> set[str]:
    """The conditions that are joined by `and` in some predicates, each as text."""
    found = set()
    for predicate in predicates:
        try:
            parsed = sqlglot.parse_one(predicate, dialect="duckdb").unnest()
        except sqlglot.errors.SqlglotError:
            found.add(predicate)
            continue
        parts = parsed.flatten() if isinstance(parsed, exp.And) else [parsed]
        found |= {part.sql(dialect="duckdb") for part in parts}
    return found


def value_of(metric: str, example: Example) -> str:
    """The value of a metric for a user; both values where they differ."""
    sides = [side[metric] for side in (example.metrics_before, example.metrics_after) if metric in side]
    values = list(dict.fromkeys("null" if value is None else number(value) for value in sides))
    return f"{metric} {' to '.join(code(value) for value in values)}"


# The proof, and who reads a model


def verdict(version: Version, name: str) -> str:
    """What the proof says of a set, in a few words."""
    if isinstance(version.proof, str):
        return version.proof
    if name not in version.sets():
        return "no such set"
    return "proven" if version.proof_of(name).get("proven") else "**not proven**"


def proof_details(version: Version, name: str) -> list[str]:
    """The failures of a proof and the facts that it used, as lines of a list."""
    proof = version.proof_of(name)
    lines = [f"  - {' '.join(failure.split())}" for failure in proof.get("failures") or []]
    if facts := proof.get("facts"):
        lines.append(f"  - facts used: {'; '.join(code(fact, whole=True) for fact in facts)}")
    return lines


def readers(version: Version, model: str) -> str:
    """Which models, exposures and metrics of the semantic layer read a model."""
    found: dict[str, list[str]] = {"model": [], "exposure": [], "metric": []}
    for node in sorted(version.descendants(model_id(version, model))):
        kind, name = node.split(".")[0], node.rsplit(".", 1)[-1]
        if kind == "exposure":
            name = f"{version.manifest['exposures'][node].get('label') or name} ({name})"
        if kind in found:
            found[kind].append(name)
    parts = [f"{kind}s {', '.join(names)}" for kind, names in found.items() if names]
    return "read by " + "; ".join(parts) if parts else "read by nothing"


def model_id(version: Version, model: str) -> str:
    """The id by which the manifest knows a model."""
    return f"model.{version.manifest['metadata']['project_name']}.{model}"


# Text


def words(text: str) -> set[str]:
    """The names in a piece of SQL; what stands in quotes is none."""
    return set(re.findall(r"\w+", re.sub(r"'[^']*'", "", text)))


def state(segments: list[str]) -> str:
    """The segments of a user in a set; two in an exclusive one would show."""
    return " + ".join(code(segment) for segment in segments) or "(none)"


def code(text: str, whole: bool = False) -> str:
    """Text that comes from data, so that Markdown takes nothing in it for its own."""
    line = " ".join(str(text).split()).replace("`", "'").replace("|", "\\|")
    return f"`{line if whole or len(line) <= MOST_LETTERS else line[:MOST_LETTERS] + '...'}`"


def number(value: object) -> str:
    """A number as a person writes it: no more digits than it takes. Anything else as text; null as nothing."""
    if isinstance(value, (float, Decimal)):
        return f"{value:,.2f}".rstrip("0").rstrip(".")
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def counted(number_: int, one: str, many: str) -> str:
    """`1 user`, `2 users`."""
    return f"{number_:,} {one if number_ == 1 else many}"


def table(heading: list[str], rows: list[list[str]], right: set[int] = frozenset()) -> list[str]:
    """A Markdown table whose columns also stand under each other as plain text."""
    shown = rows[:MOST_ROWS]
    widths = [max(3, *(len(row[column]) for row in [heading, *shown])) for column in range(len(heading))]

    def line(cells: list[str]) -> str:
        padded = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(cells, widths))
        ]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * (width - 1) + ":" if column in right else "-" * width for column, width in enumerate(widths)]
    lines = [line(heading), line(rule), *(line(row) for row in shown)]
    return lines + (["", f"and {len(rows) - MOST_ROWS:,} more"] if len(rows) > MOST_ROWS else [])
