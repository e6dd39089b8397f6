"""SQL conditions as logic: what z3 needs to decide whether two of them can be true together.

Three values, as in SQL: a condition is true, false, or neither (null). Every node of the parser that is not listed here
is refused by name, and so is every option of a node that is not looked at: nothing is passed that was not understood.
Numbers are exact (integers, and decimals as rationals); texts are only ever equal or different; days are counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from difflib import get_close_matches
from functools import reduce
from itertools import count
from typing import Union

import z3
from sqlglot import exp

EPOCH = datetime(1970, 1, 1)
# Families that compare with each other, by the names that YAML uses for types.
FAMILIES = {
    "integer": "whole", "int": "whole", "bigint": "whole", "smallint": "whole",
    "decimal": "number", "numeric": "number", "double": "double", "float": "double", "real": "double",
    "string": "text", "text": "text", "varchar": "text", "boolean": "truth", "date": "day", "timestamp": "time",
}  # fmt: skip
NUMBERS = ("whole", "number", "double")
# What a type holds: integers by their bits; decimals of 18 digits, the days and microseconds of the years 1 to 9999.
BITS = {"smallint": 16, "integer": 32, "int": 32, "bigint": 64}
LIMITS = {
    "number": (-(10**18) + 1, 10**18 - 1),
    "text": (0, 2**31 - 1),
    "day": (1, date.max.toordinal()),
    "time": tuple((time - EPOCH) // timedelta(microseconds=1) for time in (datetime.min, datetime.max)),
}
# The key of every model of metrics.
NEVER_NULL = ("as_of_date", "user_id")
# The parts of a node that are looked at, and `safe`: the `||` that is null where either side is.
HARMLESS = {
    "this",
    "expression",
    "expressions",
    "low",
    "high",
    "to",
    "table",
    "ifs",
    "default",
    "true",
    "false",
    "safe",
}


class Undecidable(Exception):
    """A part of a condition that is outside of what can be proven; the message names it."""


@dataclass(frozen=True)
class Truth:
    """A condition: when it is true, and when it is false. Neither is null."""

    is_true: z3.BoolRef
    is_false: z3.BoolRef

    @property
    def is_null(self) -> z3.BoolRef:
        return z3.Not(z3.Or(self.is_true, self.is_false))

    def same_as(self, other: Truth) -> z3.BoolRef:
        """Both true, both false or both null."""
        return z3.And(self.is_true == other.is_true, self.is_false == other.is_false)


@dataclass(frozen=True)
class Value:
    """A number, text, day or time: its term, and when it is null. `literal` for one that is written out."""

    family: str
    term: z3.ArithRef
    is_null: z3.BoolRef
    literal: bool = False


Meaning = Union[Truth, Value]
YES, NO = z3.BoolVal(True), z3.BoolVal(False)


class Row:
    """One row of the metrics, of which nothing is known yet: a variable for each column that is asked for."""

    def __init__(
        self, types: dict[str, dict[str, str]], optional: set[str] = frozenset(), joins_texts: bool = False
    ) -> None:
        """`types` are the columns of each model by the alias that conditions use; models in `optional` may have no row
        for a user, so that all their columns may be null together. Of texts that are joined (`||`) only is known when
        they are null: they are refused, unless `joins_texts`."""
        self.types, self.optional, self.joins_texts = types, optional, joins_texts
        self.columns: dict[tuple[str, str], Meaning] = {}
        # What the types of the columns allow: true of every row.
        self.limits: list[z3.BoolRef] = []
        self.texts: dict[str, int] = {}
        self.fresh = count()

    def column(self, column: exp.Column) -> Meaning:
        """The variable of a column. Raises Undecidable for one that no metrics model has."""
        name = column.name
        owners = [column.table] if column.table else [alias for alias, types in self.types.items() if name in types]
        if len(owners) > 1:
            raise Undecidable(f"{name} is in {' and in '.join(owners)}; write whose it is")
        if not owners or name not in self.types.get(owners[0], {}):
            known = sorted({known for types in self.types.values() for known in types})
            near = get_close_matches(name, known, n=1)
            hint = f"is it {near[0]}?" if near else "add it there, or mend the name"
            raise Undecidable(f"{name} is no column of {', '.join(owners or self.types)}; {hint}")
        key = owners[0], name
        if key not in self.columns:
            self.columns[key] = self.new(*key)
        return self.columns[key]

    def new(self, alias: str, name: str) -> Meaning:
        """A variable for a column that was not asked for before."""
        type_ = self.types[alias][name]
        family = FAMILIES.get(type_.partition("(")[0])
        if family is None:
            raise Undecidable(f"{name} is of type {type_}, of which nothing is known here")
        label = f"{alias}.{name}"
        is_null = NO if name in NEVER_NULL else z3.Bool(f"{label} is null")
        if alias in self.optional:
            is_null = z3.Or(is_null, z3.Not(self.found(alias)))
        if family == "truth":
            value = z3.Bool(label)
            return Truth(z3.And(value, z3.Not(is_null)), z3.And(z3.Not(value), z3.Not(is_null)))
        if family == "double":
            return Value(family, z3.Real(label), is_null)
        number = z3.Int(label)
        bits = BITS.get(type_, 32)
        lowest, highest = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if family == "whole" else LIMITS[family]
        self.limits.append(z3.And(number >= lowest, number <= highest))
        # A decimal is a whole number of its smallest steps: 0.0001 in decimal(18, 4).
        places = int(type_.rstrip(")").rpartition(",")[2]) if family == "number" and "," in type_ else 0
        return Value(family, z3.ToReal(number) / 10**places if family == "number" else number, is_null)

    def found(self, alias: str) -> z3.BoolRef:
        """Whether a left-joined model has a row for the user."""
        return z3.Bool(f"{alias} has a row") if alias in self.optional else YES

    def text(self, text: str) -> Value:
        """A text that is written out: a number of its own, so that equal texts are equal numbers."""
        return Value("text", z3.IntVal(self.texts.setdefault(text, len(self.texts))), NO, literal=True)

    def unknown_text(self, is_null: z3.BoolRef) -> Value:
        """Some text of which only is known when it is null."""
        return Value("text", z3.Int(f"text {next(self.fresh)}"), is_null)


# Conditions


def truth(node: exp.Expression, row: Row) -> Truth:
    """What a condition means. Raises Undecidable."""
    meaning = mean(node, row)
    if isinstance(meaning, Value):
        raise Undecidable(f"{node.sql(dialect='duckdb', comments=False)} is no condition; compare it with a literal")
    return meaning


def value(node: exp.Expression, row: Row) -> Value:
    """What an expression means. Raises Undecidable."""
    meaning = mean(node, row)
    if isinstance(meaning, Truth):
        # A condition compared with another, as in (a > 0) = (b > 0).
        return Value("truth", z3.If(meaning.is_true, z3.IntVal(1), z3.IntVal(0)), meaning.is_null)
    return meaning


def mean(node: exp.Expression, row: Row) -> Meaning:
    """What any node means, by its kind. Raises Undecidable for a kind, or an option of it, that is not known here."""
    kind = type(node)
    options = {key for key, given in node.args.items() if given and key not in HARMLESS}
    if kind not in MEANINGS or (options and kind is not exp.Literal and kind is not exp.Identifier):
        raise Undecidable(f"{node.sql(dialect='duckdb', comments=False)} is outside of what can be proven")
    return MEANINGS[kind](node, row)


def both(left: Truth, right: Truth) -> Truth:
    return Truth(z3.And(left.is_true, right.is_true), z3.Or(left.is_false, right.is_false))


def either(left: Truth, right: Truth) -> Truth:
    return Truth(z3.Or(left.is_true, right.is_true), z3.And(left.is_false, right.is_false))


def opposite(condition: Truth) -> Truth:
    return Truth(condition.is_false, condition.is_true)


def known(condition: z3.BoolRef) -> Truth:
    """A condition that is never null."""
    return Truth(condition, z3.Not(condition))


Compare = Callable[[z3.ArithRef, z3.ArithRef], z3.BoolRef]


def compared(left: Value, right: Value, compare: Compare, node: exp.Expression, ordered: bool) -> Truth:
    """A comparison: null where either side is."""
    families = {left.family, right.family} - {"null"}
    if not (len(families) <= 1 or families <= set(NUMBERS)) or (ordered and families & {"text", "truth"}):
        raise Undecidable(f"{node.sql(dialect='duckdb', comments=False)} compares {' with '.join(sorted(families))}")
    if "double" in families and any(side.family == "number" and not side.literal for side in (left, right)):
        # The decimal is rounded to a double, which may make equal what is not.
        raise Undecidable(f"{node.sql(dialect='duckdb', comments=False)} compares a double with a decimal")
    neither_null = z3.Not(z3.Or(left.is_null, right.is_null))
    result = compare(left.term, right.term)
    return Truth(z3.And(neither_null, result), z3.And(neither_null, z3.Not(result)))


def comparison(compare: Compare, ordered: bool) -> Callable[[exp.Expression, Row], Truth]:
    def meaning(node: exp.Expression, row: Row) -> Truth:
        return compared(value(node.this, row), value(node.expression, row), compare, node, ordered)

    return meaning


def between(node: exp.Between, row: Row) -> Truth:
    this, low, high = (value(node.args[key], row) for key in ("this", "low", "high"))
    return both(
        compared(this, low, lambda left, right: left >= right, node, True),
        compared(this, high, lambda left, right: left <= right, node, True),
    )


def is_in(node: exp.In, row: Row) -> Truth:
    this = value(node.this, row)
    listed = [value(item, row) for item in node.expressions]
    if not listed or not all(item.literal for item in listed):
        raise Undecidable(f"{node.sql(dialect='duckdb', comments=False)} is not `in` a list of literals")
    return reduce(either, [compared(this, item, lambda left, right: left == right, node, False) for item in listed])


def is_(node: exp.Is, row: Row) -> Truth:
    said = node.expression
    if isinstance(said, exp.Null):
        return known(mean(node.this, row).is_null)
    if isinstance(said, exp.Boolean):
        condition = truth(node.this, row)
        return known(condition.is_true if said.this else condition.is_false)
    raise Undecidable(f"{node.sql(dialect='duckdb', comments=False)} is outside of what can be proven")


def same(node: exp.Expression, row: Row) -> Truth:
    left, right = value(node.this, row), value(node.expression, row)
    equal = compared(left, right, lambda one, other: one == other, node, False)
    return known(z3.Or(equal.is_true, z3.And(left.is_null, right.is_null)))


def coalesce(node: exp.Coalesce, row: Row) -> Meaning:
    meanings = [mean(part, row) for part in (node.this, *node.expressions)]
    return reduce(first_known, meanings[::-1])


def first_known(later: Meaning, earlier: Meaning) -> Meaning:
    """`earlier` where it is known, else `later`."""
    if isinstance(earlier, Truth) and isinstance(later, Truth):
        return Truth(
            z3.Or(earlier.is_true, z3.And(earlier.is_null, later.is_true)),
            z3.Or(earlier.is_false, z3.And(earlier.is_null, later.is_false)),
        )
    if isinstance(earlier, Truth) or isinstance(later, Truth):
        raise Undecidable("coalesce of a condition and a value")
    return chosen(z3.Not(earlier.is_null), earlier, later)


def chosen(condition: z3.BoolRef, one: Value, other: Value) -> Value:
    """`one` where the condition holds, else `other`."""
    families = {one.family, other.family} - {"null"}
    if len(families) > 1 and not families <= set(NUMBERS):
        raise Undecidable(f"a choice of {' and '.join(sorted(families))}")
    family = max(families or {"null"}, key=lambda name: NUMBERS.index(name) if name in NUMBERS else 0)
    null = z3.And(z3.Implies(condition, one.is_null), z3.Implies(z3.Not(condition), other.is_null))
    return Value(family, z3.If(condition, one.term, other.term), null)


def case(node: exp.Case, row: Row) -> Meaning:
    """Only facts may have one; a definition is refused before."""
    if node.this is not None:
        raise Undecidable(f"{node.sql(dialect='duckdb', comments=False)} is outside of what can be proven")
    result = mean(node.args["default"], row) if node.args.get("default") else null(node, row)
    for branch in reversed(node.args["ifs"]):
        condition, then = truth(branch.this, row), mean(branch.args["true"], row)
        if isinstance(then, Truth) and isinstance(result, Truth):
            result = Truth(
                z3.If(condition.is_true, then.is_true, result.is_true),
                z3.If(condition.is_true, then.is_false, result.is_false),
            )
        elif isinstance(then, Value) and isinstance(result, Value):
            result = chosen(condition.is_true, then, result)
        else:
            raise Undecidable(f"{node.sql(dialect='duckdb', comments=False)} mixes conditions and values")
    return result


# Values


def literal(node: exp.Literal, row: Row) -> Value:
    if node.is_string:
        return row.text(node.this)
    number = Decimal(node.this)
    if "e" in node.this.lower():
        # To DuckDB 3e-1 is a double, and 0.3 is none.
        return Value("double", z3.RealVal(str(number)), NO, literal=True)
    if number == number.to_integral_value() and "." not in node.this and "e" not in node.this.lower():
        return Value("whole", z3.IntVal(int(number)), NO, literal=True)
    return Value("number", z3.RealVal(str(number)), NO, literal=True)


def null(node: exp.Expression, row: Row) -> Value:
    return Value("null", z3.IntVal(0), YES, literal=True)


def cast(node: exp.Cast, row: Row) -> Value:
    """A day, a time or a number that is written out."""
    type_ = FAMILIES.get(node.to.sql(dialect="duckdb").lower().partition("(")[0])
    text = node.this.this if isinstance(node.this, exp.Literal) and node.this.is_string else None
    try:
        if text is not None and type_ == "day":
            return Value("day", z3.IntVal(date.fromisoformat(text).toordinal()), NO, literal=True)
        if text is not None and type_ == "time":
            past = datetime.fromisoformat(text) - EPOCH
            microseconds = (past.days * 86400 + past.seconds) * 1_000_000 + past.microseconds
            return Value("time", z3.IntVal(microseconds), NO, literal=True)
    except (ValueError, TypeError):
        pass
    raise Undecidable(f"{node.sql(dialect='duckdb', comments=False)} is outside of what can be proven")


def negative(node: exp.Neg, row: Row) -> Value:
    number = value(node.this, row)
    if number.family not in NUMBERS:
        raise Undecidable(f"{node.sql(dialect='duckdb', comments=False)} is no number")
    return Value(number.family, -number.term, number.is_null, number.literal)


def arithmetic(compute: Compare) -> Callable[[exp.Expression, Row], Value]:
    def meaning(node: exp.Expression, row: Row) -> Value:
        left, right = value(node.this, row), value(node.expression, row)
        if not {left.family, right.family} <= {"whole", "number"}:
            # A sum of doubles is rounded: what holds of exact numbers need not hold of it.
            raise Undecidable(f"{node.sql(dialect='duckdb', comments=False)} computes with what is no exact number")
        if isinstance(node, exp.Mul) and not (left.literal or right.literal):
            raise Undecidable(f"{node.sql(dialect='duckdb', comments=False)} multiplies two metrics")
        family = "number" if "number" in (left.family, right.family) else "whole"
        return Value(family, compute(left.term, right.term), z3.Or(left.is_null, right.is_null))

    return meaning


def joined(node: exp.DPipe, row: Row) -> Value:
    if not row.joins_texts:
        raise Undecidable(f"{node.sql(dialect='duckdb', comments=False)} is outside of what can be proven")
    left, right = value(node.this, row), value(node.expression, row)
    return row.unknown_text(z3.Or(left.is_null, right.is_null))


MEANINGS: dict[type[exp.Expression], Callable[..., Meaning]] = {
    exp.Paren: lambda node, row: mean(node.this, row),
    exp.Column: lambda node, row: row.column(node),
    exp.Literal: literal,
    exp.Boolean: lambda node, row: known(YES if node.this else NO),
    exp.Null: null,
    exp.Cast: cast,
    exp.Neg: negative,
    exp.Add: arithmetic(lambda left, right: left + right),
    exp.Sub: arithmetic(lambda left, right: left - right),
    exp.Mul: arithmetic(lambda left, right: left * right),
    exp.DPipe: joined,
    exp.And: lambda node, row: both(truth(node.this, row), truth(node.expression, row)),
    exp.Or: lambda node, row: either(truth(node.this, row), truth(node.expression, row)),
    exp.Not: lambda node, row: opposite(truth(node.this, row)),
    exp.EQ: comparison(lambda left, right: left == right, False),
    exp.NEQ: comparison(lambda left, right: left != right, False),
    exp.GT: comparison(lambda left, right: left > right, True),
    exp.GTE: comparison(lambda left, right: left >= right, True),
    exp.LT: comparison(lambda left, right: left < right, True),
    exp.LTE: comparison(lambda left, right: left <= right, True),
    exp.NullSafeEQ: same,
    exp.NullSafeNEQ: lambda node, row: opposite(same(node, row)),
    exp.Between: between,
    exp.In: is_in,
    exp.Is: is_,
    exp.Coalesce: coalesce,
    exp.Case: case,
}
