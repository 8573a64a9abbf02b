"""Exact numbers: decimals read from any type, percentages, and weights such as 0.25 or 1/3.

An int, float, Decimal, numpy scalar, Fraction or text is a number. A float is read by its shortest
representation: 0.1 is one tenth, not its binary expansion.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation, Overflow
from fractions import Fraction
from math import lcm
from numbers import Integral, Real
from typing import TYPE_CHECKING, Self, SupportsFloat, TypeAlias

from optimization.errors import RuleError

Number: TypeAlias = SupportsFloat | str
"""Anything that can be read as a number: int, float, Decimal, numpy scalar, Fraction, or text."""

Path: TypeAlias = tuple[str | int, ...]

NUMBER_RULE = "a number is an int, float, Decimal, numpy scalar, Fraction, or text such as 12.50"
FINITE_RULE = "a number is finite"
DECIMAL_TEXT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)

# Sums and products of amounts, prices and shares stay far below 120 digits.
EXACT = Context(prec=120, traps=[InvalidOperation, Overflow])

Weight = Decimal | Fraction
"""A fraction of market value."""

FRACTION = re.compile(r"(0|[1-9][0-9]{0,11})/([1-9][0-9]{0,11})")
NOT_WRITTEN = "a fraction is written as two whole numbers of up to 12 digits, such as 1/3"
FLOAT_WEIGHT_RULE = (
    "a weight has at most 12 decimals: round it, as in round(weight, 6), or write a fraction, "
    "as in '1/3'"
)
MAX_WEIGHT_DECIMALS = 12


def read_decimal(value: object, field: Path) -> Decimal:
    """Read a number exactly; RuleError names ``field``.

    A Decimal is returned unchanged, even if it is not finite: the caller's rule decides.

    >>> import numpy as np
    >>> [str(read_decimal(value, ("cash",))) for value in (3, 0.1, np.float32(0.1), "12.50")]
    ['3', '0.1', '0.1', '12.50']
    >>> read_decimal(float("nan"), ("cash",))
    Traceback (most recent call last):
    optimization.errors.RuleError: cash is nan: a number is finite
    """
    match value:
        case Decimal():
            return value
        case bool():
            raise RuleError(field, value, NUMBER_RULE)
        case Integral():
            return Decimal(int(value))
        case Fraction():
            return _read_fraction(value, field)
        case str():
            return read_text(value, field)
        case Real():
            return _read_float(value, field)
        case _:
            raise RuleError(field, value, NUMBER_RULE)


def _read_fraction(value: Fraction, field: Path) -> Decimal:
    """Convert a fraction whose decimals terminate to a Decimal."""
    rest, places = value.denominator, 0
    while rest % 10 == 0:
        rest, places = rest // 10, places + 1
    for prime in (2, 5):
        while rest % prime == 0:
            rest, places = rest // prime, places + 1
    if rest != 1:
        raise RuleError(field, str(value), "decimals that end; a weight alone may be a fraction")
    return Decimal(f"{int(value * 10**places)}E-{places}")


def read_text(value: str, field: Path) -> Decimal:
    """Read the text of a decimal number, with or without an exponent.

    >>> read_text(" 12.50", ("cash",))
    Decimal('12.50')
    """
    text = value.strip()
    if DECIMAL_TEXT.fullmatch(text) is None:
        raise RuleError(field, value, NUMBER_RULE)
    return Decimal(text)


def _read_float(value: Real, field: Path) -> Decimal:
    number = Decimal(str(value))  # shortest digits of the type: np.float32(0.1) is 0.1 too
    if not number.is_finite():
        raise RuleError(field, float(value), FINITE_RULE)
    return number


def read_decimals(values: Mapping[str, object], name: str) -> dict[str, Decimal]:
    """Read the numbers of a mapping by security; RuleError names the security.

    >>> read_decimals({"VTI": 10, "BND": 0.5}, "holdings")
    {'VTI': Decimal('10'), 'BND': Decimal('0.5')}
    """
    return {
        security_id: read_decimal(value, (name, security_id))
        for security_id, value in values.items()
    }


def are_decimals(values: Iterable[object]) -> bool:
    """Whether all values are Decimals; compares only their types, in C.

    >>> are_decimals([Decimal(1), 2])
    False
    """
    return {*map(type, values)} <= {Decimal}


def count_needed_decimals(value: Decimal) -> int:
    """Count the digits after the point that a value needs.

    >>> count_needed_decimals(Decimal("12.340")), count_needed_decimals(Decimal("1E+3"))
    (2, 0)
    """
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int) or exponent >= 0:
        return 0
    if digits[-1]:  # because most values end in a digit that they need
        return -exponent
    exponent = value.normalize(EXACT).as_tuple().exponent
    return max(0, -int(exponent))


@dataclass(frozen=True, slots=True)
class Percent:
    """A percentage of the market value.

    >>> Percent(2.5).to_currency(Decimal(1000))
    Decimal('25.000')
    """

    value: Decimal
    if TYPE_CHECKING:

        def __init__(self, value: Number) -> None: ...

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", read_decimal(self.value, ("percent",)))

    def __bool__(self) -> bool:
        return bool(self.value)

    def to_currency(self, market_value: Decimal) -> Decimal:
        """Convert to an amount in currency, exactly."""
        return EXACT.scaleb(EXACT.multiply(self.value, market_value), -2)


Amount = Decimal | Percent


def to_currency(value: Amount, market_value: Decimal) -> Decimal:
    """Convert an amount or a percentage to currency."""
    return value.to_currency(market_value) if isinstance(value, Percent) else value


class WrittenFraction(Fraction):
    """A fraction that keeps its original text; it computes and compares by value.

    >>> third = WrittenFraction.parse("2/6")
    >>> str(third), third == Fraction(1, 3)
    ('2/6', True)
    """

    __slots__ = ("text",)
    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a fraction; raise ValueError for any other text."""
        match = FRACTION.fullmatch(text)
        if match is None:
            raise ValueError(NOT_WRITTEN)
        fraction = cls(int(match[1]), int(match[2]))
        fraction.text = text
        return fraction

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"WrittenFraction.parse({self.text!r})"

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (WrittenFraction.parse, (self.text,))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self


def read_weight(value: object, field: Path) -> Weight:
    """Read a weight: a fraction of market value as a number, ``"1/3"``, ``"60%"`` or Fraction.

    >>> read_weight(0.6, ("weight",)), read_weight("62.5%", ("weight",))
    (Decimal('0.6'), Decimal('0.625'))
    >>> read_weight("1/3", ("weight",)) * 3 == 1
    True
    >>> read_weight(1 / 3, ("weight",))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    optimization.errors.RuleError: weight is 0.3333333333333333: a weight has at most 12 ...
    """
    if isinstance(value, Decimal | Fraction):
        return value
    if isinstance(value, str) and "/" in value:
        try:
            return WrittenFraction.parse(value.strip())
        except ValueError as error:
            raise RuleError(field, value, str(error)) from None
    if isinstance(value, str) and value.rstrip().endswith("%"):
        return EXACT.scaleb(read_text(value.rstrip()[:-1], field), -2)
    weight = read_decimal(value, field)
    if isinstance(value, Real) and count_needed_decimals(weight) > MAX_WEIGHT_DECIMALS:
        raise RuleError(field, float(value), FLOAT_WEIGHT_RULE)
    return weight


def weight_text(weight: Weight) -> str:
    """Write a weight without an exponent, or as the text of a fraction.

    >>> weight_text(Decimal("1E-3")), weight_text(Fraction(1, 12))
    ('0.001', '1/12')
    """
    return f"{weight:f}" if isinstance(weight, Decimal) else str(weight)


def multiply_weight(weight: Weight, factor: Decimal) -> Weight:
    """Multiply a weight by a factor, exactly; a Decimal if the weight is one.

    >>> multiply_weight(WrittenFraction.parse("1/3"), Decimal("0.25"))
    Fraction(1, 12)
    >>> multiply_weight(Decimal("0.4"), Decimal("0.2"))
    Decimal('0.08')
    """
    if isinstance(weight, Decimal):
        return EXACT.multiply(weight, factor)
    return weight * Fraction(factor)


def add_weights(weights: Iterable[Weight]) -> Weight:
    """Add weights exactly; a Decimal as long as every weight is one.

    >>> add_weights([WrittenFraction.parse("1/3")] * 3) == 1
    True
    """
    decimals, fractions = Decimal(0), None
    for weight in weights:
        if isinstance(weight, Decimal):
            decimals = EXACT.add(decimals, weight)
        else:
            fractions = weight + (fractions or 0)
    return decimals if fractions is None else Fraction(decimals) + fractions


def subtract_weight(weight: Weight, less: Weight) -> Weight:
    """Subtract one weight from another, exactly.

    >>> subtract_weight(Fraction(1, 3), Decimal("0.25"))
    Fraction(1, 12)
    """
    if isinstance(weight, Decimal) and isinstance(less, Decimal):
        return EXACT.subtract(weight, less)
    return Fraction(weight) - Fraction(less)


def find_denominator(weights: Iterable[Weight]) -> int:
    """Find the least common denominator of weights, as a multiple of their power of ten.

    >>> find_denominator([Decimal("0.005"), Decimal("0.1")]), find_denominator([Fraction(1, 3)])
    (1000, 3)
    """
    digits, parts = 0, 1
    for weight in {*weights}:  # because a model has few of them and each takes a microsecond
        if isinstance(weight, Decimal):
            digits = max(digits, count_needed_decimals(weight))
        else:
            parts = lcm(parts, weight.denominator)
    return lcm(10**digits, parts)


def to_parts(weight: Weight, denominator: int) -> int:
    """Convert a weight to whole parts of ``1 / denominator``, as found by ``find_denominator``.

    >>> to_parts(Decimal("0.25"), 300), to_parts(Fraction(1, 3), 300)
    (75, 100)
    """
    if isinstance(weight, Decimal):
        parts = EXACT.multiply(weight, Decimal(denominator))
        whole = int(parts)
        assert whole == parts
        return whole
    return weight.numerator * (denominator // weight.denominator)
