"""What can be proven of a segment set without a row of data: its flags under every possible row of the metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import combinations, islice, product
from random import Random
from typing import Any

import duckdb
import z3
from logic import EPOCH, FAMILIES, Row, Truth, Undecidable, both, known, truth, value
from segment_files import COMPARISONS, Flag, Metrics, SegmentSet, qualified
from sqlglot import exp

# How long z3 may think about one question, in milliseconds. The sets here take a few each.
PATIENCE = 10_000
# How many rows DuckDB is asked about besides; a sample of them where there are more combinations.
MOST_ROWS = 20_000
# Of the rows that break a rule in DuckDB, so many are looked at: each has to be one that the facts rule out.
MOST_WRONG_ROWS = 100

Point = dict[str, Any]


@dataclass(frozen=True)
class Failure:
    """What is wrong with a set, in one line; `details` are lines below it: the definitions and a row that shows it."""

    line: str
    details: tuple[str, ...] = ()


@dataclass
class Verdict:
    """What became of a set: proven where nothing failed. `facts` are those that the proof rests on, `notes` conditions
    that could be left out."""

    name: str
    claims: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    facts: set[str] = field(default_factory=set)

    @property
    def proven(self) -> bool:
        return not self.failures


class Impossible(Exception):
    """The facts contradict each other, or the prover and DuckDB do: nothing that follows would mean anything."""


class Logic:
    """The flags of one set as logic, the facts taken for granted, and a solver that knows both."""

    def __init__(self, found: SegmentSet, metrics: dict[str, Metrics]) -> None:
        """Raises Undecidable for what cannot be expressed."""
        self.set = found
        for model in found.models.values():
            if model not in metrics:
                raise Undecidable(f"{model} has no typed columns in the YAML of models/intermediate")
        self.types = {alias: metrics[model].columns for alias, model in found.models.items()}
        self.row = Row(self.types, found.optional, joins_texts=found.kind == "attribute")
        self.first = next(iter(found.models))
        self.flags: dict[str, Truth] = {}
        if found.kind == "flags":
            self.flags = {flag.name: truth(flag.condition, self.row) for flag in found.flags}
        else:
            self.value = value(found.flags[0].condition, self.row)
        self.filter = truth(found.filter, self.row)
        for alias in sorted(found.inner):
            self.filter = both(self.filter, known(self.row.found(alias)))
        # What the SQL reads, and what only the YAML reads; the columns that only facts read are not shown.
        self.read = list(self.row.columns)
        self.population = truth(qualified(found.population, self.first), self.row)
        self.declared = [key for key in self.row.columns if key not in self.read]
        # The users who have a row: those of the population whom the SQL keeps, which are the same if all is well.
        self.inside = z3.And(self.population.is_true, self.filter.is_true)
        self.facts: dict[str, z3.BoolRef] = {}
        self.solver = z3.Solver()
        self.solver.set("timeout", PATIENCE)
        for alias, model in found.models.items():
            for name, fact in metrics[model].facts.items():
                taken = z3.Bool(f"fact {alias}.{name}")
                meaning = truth(qualified(fact, alias), self.row)
                self.solver.add(z3.Implies(z3.And(taken, self.row.found(alias)), meaning.is_true))
                self.facts[f"{name}"] = taken
        self.candidates = candidates(found, self)
        if self.solver.check(*self.facts.values()) == z3.unsat:
            raise Impossible(f"the facts of {', '.join(found.models.values())} contradict each other")

    def ask(self, *goals: z3.BoolRef) -> z3.ModelRef | None:
        """A row for which all goals hold, None where there is none. Raises Undecidable where z3 does not know."""
        self.begin(goals)
        try:
            answer = self.solver.check(*self.facts.values())
            if answer == z3.unknown:
                raise Undecidable(f"the definitions are more than can be decided in {PATIENCE // 1000} s")
            return self.solver.model() if answer == z3.sat else None
        finally:
            self.solver.pop()

    def begin(self, goals: Iterable[z3.BoolRef]) -> None:
        """Takes the goals for granted until pop(); columns that were met only now keep to their types for good."""
        while self.row.limits:
            self.solver.add(self.row.limits.pop())
        self.solver.push()
        self.solver.add(*goals)

    def needed(self, *goals: z3.BoolRef) -> set[str]:
        """Facts without which the goals could hold, none of them too many; they cannot with all facts."""
        taken = {str(variable): name for name, variable in self.facts.items()}
        self.begin(goals)
        self.solver.check(*self.facts.values())
        left = [taken[str(part)] for part in self.solver.unsat_core()]
        for name in list(left):
            if self.solver.check(*(self.facts[other] for other in left if other != name)) == z3.unsat:
                left.remove(name)
        self.solver.pop()
        return set(left)

    def point(self, *goals: z3.BoolRef, declared: bool = False) -> Point | None:
        """A row for which the goals hold, with values that are easy to read; None where there is none. Columns are
        called as in the definitions; those that only the YAML reads are there where `declared`."""
        model = self.ask(*goals)
        if model is None:
            return None
        fixed = list(goals)
        keys = self.read + (self.declared if declared else [])
        for key in keys:
            for candidate in self.candidates[key]:
                equal = self.equals(key, candidate)
                if self.ask(*fixed, equal) is not None:
                    fixed.append(equal)
                    break
        model = self.ask(*fixed)
        return {self.label(key): self.shown(key, model) for key in keys}

    def label(self, key: tuple[str, str]) -> str:
        return key[1] if len(self.types) == 1 else ".".join(key)

    def equals(self, key: tuple[str, str], wanted: Any) -> z3.BoolRef:
        """That a column has a value (None: is null)."""
        column = self.row.columns[key]
        if wanted is None:
            return column.is_null
        if isinstance(column, Truth):
            return column.is_true if wanted else column.is_false
        if column.family == "text":
            term = column.term == self.row.text(wanted).term
        elif column.family == "day":
            term = column.term == wanted.toordinal()
        elif column.family == "time":
            term = column.term == (wanted - EPOCH) // timedelta(microseconds=1)
        else:
            term = column.term == z3.RealVal(str(wanted))
        return z3.And(z3.Not(column.is_null), term)

    def shown(self, key: tuple[str, str], model: z3.ModelRef) -> Any:
        """The value of a column in a model, as Python has it."""
        column = self.row.columns[key]
        if z3.is_true(model.eval(column.is_null, model_completion=True)):
            return None
        if isinstance(column, Truth):
            return z3.is_true(model.eval(column.is_true, model_completion=True))
        term = model.eval(column.term, model_completion=True)
        if column.family in ("number", "double"):
            term = z3.simplify(term)
            exact = Fraction(term.numerator_as_long(), term.denominator_as_long())
            return Decimal(exact.numerator) / Decimal(exact.denominator)
        number = term.as_long()
        if column.family == "text":
            return next((text for text, at in self.row.texts.items() if at == number), f"text {number}")
        if column.family == "day":
            return date.fromordinal(number)
        return EPOCH + timedelta(microseconds=number) if column.family == "time" else number


def candidates(found: SegmentSet, logic: Logic) -> dict[tuple[str, str], list[Any]]:
    """For each column that the set reads: the literals it is compared with and their neighbours, small ones first, some
    other text, null. Where one condition computes with several columns, each gets the literals of all."""
    lists: dict[tuple[str, str], set[Any]] = {key: set() for key in logic.read + logic.declared}
    conditions = [flag.condition for flag in found.flags] + [qualified(found.population, logic.first), found.filter]
    for condition in conditions:
        for part in condition.find_all(*COMPARISONS, exp.Between, exp.In):
            literals = [constant(node) for node in part.find_all(exp.Literal, exp.Cast)]
            for column in part.find_all(exp.Column):
                owners = (
                    [column.table] if column.table else [a for a, types in logic.types.items() if column.name in types]
                )
                lists[owners[0], column.name].update(literal for literal in literals if literal is not None)
    result = {}
    for key, literals in lists.items():
        family = FAMILIES[logic.types[key[0]][key[1]].partition("(")[0]]
        result[key] = [*around(family, literals), None]
    return result


def constant(node: exp.Expression) -> Any:
    """The value of a literal: a number, a text, a day or a time."""
    if isinstance(node, exp.Cast):
        text, type_ = str(node.this.this), FAMILIES.get(node.to.sql(dialect="duckdb").lower())
        try:
            return {"day": date.fromisoformat, "time": datetime.fromisoformat}[type_](text)
        except (KeyError, ValueError):
            return None
    if isinstance(node.parent, exp.Cast):
        return None
    return node.this if node.is_string else Decimal(node.this)


def around(family: str, literals: set[Any]) -> list[Any]:
    """Values that stand for all others of a family, given what they are compared with."""
    if family == "truth":
        return [True, False]
    if family == "text":
        return [*sorted(literal for literal in literals if isinstance(literal, str)), "something else"]
    if family in ("day", "time"):
        kind, one = (date, timedelta(days=1)) if family == "day" else (datetime, timedelta(microseconds=1))
        moments = {literal for literal in literals if type(literal) is kind} or {kind(2024, 2, 29)}
        return sorted({near for moment in moments for step in (-1, 0, 1) if (near := moved(moment, step * one))})
    numbers = {literal for literal in literals if isinstance(literal, Decimal)} | {Decimal(0)}
    steps = (-1, 0, 1) if family == "whole" else (Decimal("-0.0001"), 0, Decimal("0.0001"))
    near = {number + step for number in numbers for step in steps}
    if family == "whole":
        near = {number.to_integral_value() for number in near}
        return [int(number) for number in sorted(near, key=lambda number: (abs(number), number))]
    return sorted(near, key=lambda number: (abs(number), number))


def moved(moment: date, by: timedelta) -> date | None:
    """The day or time that far away, None beyond the calendar."""
    try:
        return moment + by
    except OverflowError:
        return None


# The proof


def prove(found: SegmentSet, metrics: dict[str, Metrics]) -> Verdict:
    """Everything that is claimed of a set: checked for every possible row, then confirmed by DuckDB."""
    verdict = Verdict(found.name)
    try:
        logic = Logic(found, metrics)
        engine = Engine(logic)
        if found.kind == "attribute":
            prove_attribute(logic, engine, verdict)
        else:
            prove_flags(logic, engine, verdict)
            engine.examine(verdict)
        prove_population(logic, engine, verdict)
    except Undecidable as error:
        verdict.failures.append(Failure(f"{found.path}{line_of_part(found, metrics)}: not proven: {error}"))
    except duckdb.Error as error:
        # Too large a number for its type, for one.
        verdict.failures.append(Failure(f"{found.path}: not proven: DuckDB says {str(error).splitlines()[0]}"))
    except RecursionError:
        verdict.failures.append(Failure(f"{found.path}: not proven: a condition of more parts than can be read"))
    except Impossible as error:
        verdict.failures.append(Failure(f"{found.path}: {error}"))
    return verdict


def line_of_part(found: SegmentSet, metrics: dict[str, Metrics]) -> str:
    """`:12`, the line of the first flag that cannot be understood; nothing where it is not a flag."""
    types = {alias: metrics[model].columns for alias, model in found.models.items() if model in metrics}
    for flag in found.flags:
        try:
            row = Row(types, found.optional, joins_texts=found.kind == "attribute")
            (truth if found.kind == "flags" else value)(flag.condition, row)
        except Undecidable:
            return f":{flag.line}"
    return ""


def prove_flags(logic: Logic, engine: Engine, verdict: Verdict) -> None:
    """Never null; can be true and can be false; exclusive; total; no condition too many."""
    found, inside = logic.set, logic.inside
    for flag in found.flags:
        meaning = logic.flags[flag.name]
        if point := logic.point(inside, meaning.is_null):
            verdict.failures.append(
                engine.failure(f"{found.where(flag)}: {flag.name} can be null; a flag is true or false", point, [flag])
            )
        else:
            verdict.facts |= logic.needed(inside, meaning.is_null)
        for goal, what in (
            (meaning.is_true, "can never be true: nobody is ever in it"),
            (meaning.is_false, "can never be false: everybody is in it"),
        ):
            if (point := logic.point(inside, goal)) is None:
                verdict.failures.append(Failure(f"{found.where(flag)}: {flag.name} {what}", defined([flag])))
            else:
                engine.confirm(point)
    verdict.claims.append("never null, none dead")
    if found.overlap == "exclusive":
        for one, other in combinations(found.flags, 2):
            overlap = (inside, logic.flags[one.name].is_true, logic.flags[other.name].is_true)
            if point := logic.point(*overlap):
                what = f"{found.where(one)} {one.name} and {found.where(other)} {other.name} overlap"
                for part, whole in ((one, other), (other, one)):
                    alone = (logic.flags[part.name].is_true, z3.Not(logic.flags[whole.name].is_true))
                    if logic.ask(inside, *alone) is None:
                        what += f"; every {part.name} is a {whole.name}"
                verdict.failures.append(engine.failure(what, point, [one, other]))
            else:
                verdict.facts |= logic.needed(*overlap)
        verdict.claims.append("exclusive")
    if found.coverage == "total":
        gap = (inside, *(z3.Not(meaning.is_true) for meaning in logic.flags.values()))
        if point := logic.point(*gap):
            what = f"{found.path}: no flag is true for some users, but {found.yaml_path} says total"
            verdict.failures.append(engine.failure(what, point, []))
        else:
            verdict.facts |= logic.needed(*gap)
        verdict.claims.append("total")
    for flag in found.flags:
        for part, without in shortened(flag.condition):
            changed = logic.flags[flag.name].same_as(truth(without, logic.row))
            if logic.ask(inside, z3.Not(changed)) is None:
                sql = part.sql(dialect="duckdb", comments=False)
                facts = logic.needed(inside, z3.Not(changed))
                because = f", because of {', '.join(sorted(facts))}" if facts else ""
                verdict.notes.append(f"{found.where(flag)}: {flag.name} would be the same without `{sql}`{because}")


def prove_attribute(logic: Logic, engine: Engine, verdict: Verdict) -> None:
    """Everybody has a value."""
    found = logic.set
    if point := logic.point(logic.inside, logic.value.is_null):
        what = f"{found.where(found.flags[0])}: segment can be null; give who has none a value (coalesce)"
        verdict.failures.append(engine.failure(what, point, found.flags))
    verdict.claims.append("never null")


def prove_population(logic: Logic, engine: Engine, verdict: Verdict) -> None:
    """The SQL keeps exactly the users that the YAML calls the population."""
    found = logic.set
    for one, other, what in (
        (logic.filter, logic.population, "has rows for users who are not in the population"),
        (logic.population, logic.filter, "leaves out users of the population"),
    ):
        goals = (one.is_true, z3.Not(other.is_true))
        if point := logic.point(*goals, declared=True):
            rule = f"population.sql in {found.yaml_path}: {found.population.sql(dialect='duckdb')}"
            verdict.failures.append(engine.failure(f"{found.path} {what}; make the two the same", point, [], rule))
        else:
            verdict.facts |= logic.needed(*goals)
    verdict.claims.append("the population as declared")


def shortened(condition: exp.Expression) -> Iterator[tuple[exp.Expression, exp.Expression]]:
    """Every part of an `and` or `or`, with the condition that is left without it."""
    for number, node in enumerate(condition.find_all(exp.And, exp.Or)):
        for side, other in (("this", "expression"), ("expression", "this")):
            if isinstance(node.args[side], type(node)):
                continue
            copy = condition.copy()
            same = next(islice(copy.find_all(exp.And, exp.Or), number, None))
            kept = same.args[other]
            if same is copy:
                yield node.args[side], kept
            else:
                same.replace(kept)
                yield node.args[side], copy


def defined(flags: Iterable[Flag]) -> tuple[str, ...]:
    return tuple(f"{flag.name}: {flag.sql}" for flag in flags)


# DuckDB's word


class Engine:
    """The flags as DuckDB computes them, for rows that are given."""

    def __init__(self, logic: Logic) -> None:
        self.logic = logic
        self.connection = duckdb.connect()

    def flags_of(self, points: list[Point]) -> list[tuple[bool | None, ...]]:
        """The flags of each row, in order."""
        keys = self.logic.read
        rows = ", ".join(
            "(" + ", ".join([str(number), *(literal(point[self.logic.label(key)]) for key in keys)]) + ")"
            for number, point in enumerate(points)
        )
        names = ", ".join(["row_number", *(f'"{alias}.{name}"' for alias, name in keys)])
        columns = {
            alias: ", ".join(
                ["row_number"]
                + [f'cast("{owner}.{name}" as {duckdb_type(self.logic.types[owner][name])}) as "{name}"'
                   for owner, name in keys if owner == alias]
            )
            for alias in self.logic.types
        }  # fmt: skip
        first, *others = self.logic.types
        froms = f'(select {columns[first]} from given) as "{first}"'
        for alias in others:
            froms += f' inner join (select {columns[alias]} from given) as "{alias}" using (row_number)'
        flags = ", ".join(f"({flag.sql})" for flag in self.logic.set.flags)
        query = f'with given ({names}) as (values {rows}) select {flags} from {froms} order by "{first}".row_number'
        return self.connection.execute(query).fetchall()

    def confirm(self, point: Point) -> None:
        """Raises Impossible where DuckDB gives a row other flags than the prover."""
        logic = self.logic
        if logic.set.kind == "attribute":
            return
        fixed = [logic.equals(key, point[logic.label(key)]) for key in logic.read]
        model = logic.ask(*fixed)
        [told] = self.flags_of([point])
        for flag, said in zip(logic.set.flags, told):
            meaning = logic.flags[flag.name]
            expected = next(
                (word for word, goal in ((True, meaning.is_true), (False, meaning.is_false))
                 if model is not None and z3.is_true(model.eval(goal, model_completion=True))), None,
            )  # fmt: skip
            if model is None or said is not expected:
                raise Impossible(
                    f"{flag.name} is {said} in DuckDB and {expected} for the prover, with {readable(point)}"
                )

    def failure(self, line: str, point: Point, flags: Iterable[Flag], rule: str = "") -> Failure:
        """A failure with the row that shows it, confirmed by DuckDB."""
        self.confirm(point)
        given = ", ".join(f"{name}: {plain(shown)}" for name, shown in point.items())
        details = [*defined(flags), *([rule] if rule else []), f"as with {readable(point)}"]
        details.append(f"given in a unit test:  - {{user_id: shown, {given}}}")
        if self.logic.set.kind == "flags":
            [told] = self.flags_of([point])
            expected = ", ".join(f"{flag.name}: {plain(said)}" for flag, said in zip(self.logic.set.flags, told))
            details.append(f"and what comes of it:  - {{user_id: shown, {expected}}}")
        return Failure(line, tuple(details))

    def examine(self, verdict: Verdict) -> None:
        """Looks at the rows around every literal in DuckDB itself: where the flags are not what was proven, the row has
        to be one that the facts rule out. Raises Impossible for another."""
        logic = self.logic
        if not verdict.proven:
            return
        points = list(rows_around(logic))
        wrong = [
            point
            for point, told in zip(points, self.flags_of(points))
            if None in told
            or (logic.set.overlap == "exclusive" and told.count(True) > 1)
            or (logic.set.coverage == "total" and True not in told)
        ]
        for point in Random(1).sample(wrong, min(len(wrong), MOST_WRONG_ROWS)):
            fixed = [logic.equals(key, point[logic.label(key)]) for key in logic.read]
            if logic.ask(logic.inside, *fixed) is not None:
                raise Impossible(f"DuckDB finds what was proven impossible, with {readable(point)}")


def rows_around(logic: Logic) -> Iterator[Point]:
    """Every combination of what stands for the values of each column; a sample of them where there are too many."""
    lists = [logic.candidates[key] for key in logic.read]
    labels = [logic.label(key) for key in logic.read]
    combined = 1
    for values in lists:
        combined *= len(values)
    if combined <= MOST_ROWS:
        rows: Iterable[tuple] = product(*lists)
    else:
        random = Random(1)
        rows = (tuple(random.choice(values) for values in lists) for _ in range(MOST_ROWS))
    for row in rows:
        yield dict(zip(labels, row))


def duckdb_type(type_: str) -> str:
    return "varchar" if type_ == "string" else type_


def literal(value: Any) -> str:
    """A value as SQL."""
    if value is None:
        return "null"
    if isinstance(value, (str, date)):
        return "'" + str(value).replace("'", "''") + "'"
    return str(value).lower() if isinstance(value, bool) else f"{value:f}" if isinstance(value, Decimal) else str(value)


def plain(value: Any) -> str:
    """A value as YAML has it."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def readable(point: Point) -> str:
    """A row as a person reads it."""
    return ", ".join(f"{name} {'is null' if value is None else f'= {plain(value)}'}" for name, value in point.items())
