"""Would the tests notice? Makes every small mistake in every definition, and sees whether a unit test or proof fails.

    python tools/mutate.py [--project FOLDER] [FILE ...]

A mistake that nothing notices is printed with its file and line, and the program ends with 1. One that changes nothing
for any possible user is no mistake: the prover says so. One that is left on purpose stands in the YAML of the flag with
its reason: `config.meta.accepted_mutants: {"<the changed condition>": "<why>"}`.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import z3
from logic import Undecidable, truth
from proof import Logic, prove, shortened
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from segment_files import Flag, Invalid, Metrics, SegmentSet, line_in, read_metrics, read_sets
from sqlglot import exp
from unit_tests import UnitTests

# `>=` to `>`, and the like; `=` to both of its neighbours.
NEXT_COMPARISONS = {
    exp.GTE: (exp.GT,), exp.GT: (exp.GTE,), exp.LTE: (exp.LT,), exp.LT: (exp.LTE,), exp.EQ: (exp.GTE, exp.LTE),
    exp.NEQ: (exp.EQ,),
}  # fmt: skip
# The metrics that differ in their window alone are one family: sessions_7d, sessions_28d, sessions_lifetime.
WINDOW = re.compile(r"^(.*)_(\d+d|lifetime)$")
OTHER_TEXT = "something else"


@dataclass(frozen=True)
class Mutant:
    """One small mistake: in which flag (None: in the filter of the set), on which line, and what it makes of it."""

    flag: Flag | None
    line: int
    condition: exp.Expression

    @property
    def sql(self) -> str:
        return self.condition.sql(dialect="duckdb", comments=False)


def main(arguments: list[str] | None = None) -> int:
    """Makes the mistakes and prints what became of them. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Look whether tests and proofs notice small mistakes in definitions.")
    parser.add_argument("files", nargs="*", type=Path, help="only the sets of these files (default: all)")
    parser.add_argument("--project", type=Path, default=Path(__file__).resolve().parent.parent)
    asked = parser.parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    try:
        sets, errors = read_sets(asked.project)
        metrics = read_metrics(asked.project)
    except Invalid as error:
        sets, errors, metrics = [], [str(error)], {}
    for error in errors:
        console.print(error, style="red", markup=False)
    wanted = {file.stem.removeprefix("_").removeprefix("seg_") for file in asked.files}
    failed = bool(errors)
    for found in sets:
        if not wanted or found.name in wanted:
            failed |= not show(console, found, metrics)
    return 1 if failed else 0


def show(console: Console, found: SegmentSet, metrics: dict[str, Metrics]) -> bool:
    """Tries all mutants of a set and prints what became of them. Returns whether none survived."""
    try:
        tests = UnitTests(found, metrics)
        wrong = [f"unit test {name} fails" for name in tests.failing(found)]
        wrong += [failure.line for failure in prove(found, metrics).failures]
        if wrong:
            console.print(f"seg_{found.name}: mend it first: {wrong[0]}", style="red", markup=False)
            return False
        fates = judged(console, found, metrics, tests)
    except (Undecidable, Invalid) as error:
        console.print(f"{found.path}: {error}", style="red", markup=False)
        return False
    counts = Counter(fate.partition(":")[0] for _, fate in fates)
    said = ", ".join(f"{counts[fate]} {fate}" for fate in FATES if counts[fate])
    console.print(f"seg_{found.name}: {len(fates)} mutants: {said}", markup=False)
    survivors = [mutant for mutant, fate in fates if fate == SURVIVED]
    for mutant in survivors:
        name = mutant.flag.name if mutant.flag else "the where"
        console.print(f"{found.path}:{mutant.line}: nothing notices {name}: {mutant.sql}", style="red", markup=False)
    stale = sorted(accepted(found).keys() - {mutant.sql for mutant, fate in fates if fate == ACCEPTED})
    for sql in stale:
        console.print(f"{found.yaml_path}: accepted_mutants has {sql}, which is noticed; remove it", markup=False)
    return not survivors and not stale


CAUGHT, PROVEN, SAME, ACCEPTED, SURVIVED = (
    "caught by a unit test", "caught by the proof", "the same for every possible user", "accepted", "survived",
)  # fmt: skip
FATES = (CAUGHT, PROVEN, SAME, ACCEPTED, SURVIVED)


def judged(
    console: Console, found: SegmentSet, metrics: dict[str, Metrics], tests: UnitTests
) -> list[tuple[Mutant, str]]:
    """Each mutant of a set, with what became of it. Unit tests come first: they take a hundredth of a proof."""
    everyone = list(mutants(found, metrics))
    fates = []
    with Progress(
        TextColumn("seg_" + found.name), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console,
        transient=True, disable=not console.is_terminal,
    ) as progress:  # fmt: skip
        for mutant in progress.track(everyone):
            changed = with_mutant(found, mutant)
            if tests.failing(changed):
                fate = CAUGHT
            elif not prove(changed, metrics).proven:
                fate = PROVEN
            elif is_same(found, mutant, metrics):
                fate = SAME
            else:
                fate = ACCEPTED if mutant.sql in accepted(found) else SURVIVED
            fates.append((mutant, fate))
    return fates


def accepted(found: SegmentSet) -> dict[str, str]:
    """The mutants that are left on purpose, with their reasons. Raises Invalid for one without a reason."""
    listed: dict[str, str] = {}
    for name, column in found.columns.items():
        own = ((column.get("config") or {}).get("meta") or {}).get("accepted_mutants") or {}
        for sql, reason in own.items():
            if not str(reason or "").strip():
                raise Invalid(
                    f"accepted_mutants of {name} has {sql} without a reason; say why nothing needs to notice it"
                )
        listed |= own
    return listed


def with_mutant(found: SegmentSet, mutant: Mutant) -> SegmentSet:
    """The set with the mistake in it."""
    if mutant.flag is None:
        return replace(found, filter=mutant.condition)
    flags = [
        replace(flag, condition=mutant.condition) if flag.name == mutant.flag.name else flag for flag in found.flags
    ]
    return replace(found, flags=flags)


def is_same(found: SegmentSet, mutant: Mutant, metrics: dict[str, Metrics]) -> bool:
    """Whether the mistake changes nothing for any user of the population."""
    if found.kind == "attribute":
        return False
    logic = Logic(found, metrics)
    if mutant.flag is None:
        before, everyone = logic.filter, z3.BoolVal(True)
    else:
        before, everyone = logic.flags[mutant.flag.name], logic.inside
    return logic.ask(everyone, z3.Not(before.same_as(truth(mutant.condition, logic.row)))) is None


# The mistakes


def mutants(found: SegmentSet, metrics: dict[str, Metrics]) -> Iterator[Mutant]:
    """Every small mistake in every flag of the set, and in what it keeps of the metrics."""
    names = {name for model in found.models.values() for name in metrics[model].columns}
    for flag in found.flags:
        for line, condition in changed(flag.condition, names):
            yield Mutant(flag, line or flag.line, condition)
    for line, condition in changed(found.filter, names):
        yield Mutant(None, line or 1, condition)


def changed(condition: exp.Expression, names: set[str]) -> Iterator[tuple[int, exp.Expression]]:
    """The condition with one mistake, each once; with the line of what was changed."""
    seen = {condition.sql()}
    for place, node in enumerate(condition.walk()):
        for other in instead_of(node, names):
            copy = with_replaced(condition, place, other)
            if copy.sql() not in seen:
                seen.add(copy.sql())
                yield line_in(node), copy
    for dropped, rest in shortened(condition):
        if rest.sql() not in seen:
            seen.add(rest.sql())
            yield line_in(dropped), rest


def with_replaced(condition: exp.Expression, place: int, other: exp.Expression) -> exp.Expression:
    """A copy in which the node at `place` is `other`."""
    copy = condition.copy()
    node = next(node for number, node in enumerate(copy.walk()) if number == place)
    if node is copy:
        return other
    node.replace(other)
    return copy


def instead_of(node: exp.Expression, names: set[str]) -> Iterator[exp.Expression]:
    """What a node may be mistaken for."""
    for kind in NEXT_COMPARISONS.get(type(node), ()):
        yield kind(this=node.this.copy(), expression=node.expression.copy())
    if isinstance(node, (exp.And, exp.Or)):
        kind = exp.Or if isinstance(node, exp.And) else exp.And
        yield exp.paren(kind(this=within(node.this), expression=within(node.expression)))
    if isinstance(node, exp.Not):
        yield exp.paren(node.this.copy())
    if isinstance(node, exp.Literal) and node.is_string and not isinstance(node.parent, exp.Cast):
        yield exp.Literal.string(OTHER_TEXT)
    if isinstance(node, exp.Literal) and not node.is_string:
        for step in (-1, 1):
            yield exp.paren(exp.Literal.number(int(node.this) + step)) if node.is_int else by_one(node, step)
    if isinstance(node, exp.Column) and (window := WINDOW.match(node.name)):
        for name in sorted(names):
            found = WINDOW.match(name)
            if found and found.group(1) == window.group(1) and name != node.name:
                yield exp.column(name, table=node.args.get("table"))


def within(node: exp.Expression) -> exp.Expression:
    """The node as a part of another condition."""
    return exp.paren(node.copy()) if isinstance(node, (exp.And, exp.Or)) else node.copy()


def by_one(node: exp.Literal, step: int) -> exp.Expression:
    """A number with decimals, moved by one in its last place."""
    places = len(node.this.partition(".")[2])
    return exp.Literal.number(f"{float(node.this) + step * 10**-places:.{places}f}")


if __name__ == "__main__":
    sys.exit(main())
