"""Numbers as people have them, read exactly: int, float, Decimal, numpy scalar, Fraction, text.

A float is read by the shortest digits that stand for it: 0.1 is one tenth, not its binary
expansion.
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from numbers import Integral, Real
from typing import SupportsFloat, TypeAlias

from optimization.errors import RuleError

Number: TypeAlias = SupportsFloat | str
"""Anything that is read as a number: int, float, Decimal, numpy scalar, Fraction, or text."""

Path: TypeAlias = tuple[str | int, ...]

NUMBER_RULE = "a number is an int, float, Decimal, numpy scalar, Fraction, or text such as 12.50"
FINITE_RULE = "a number is finite"
DECIMAL_TEXT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)


def read_decimal(value: object, field: Path) -> Decimal:
    """Read a number exactly; RuleError names ``field``.

    A Decimal is returned as it is, also if it is not finite: the rules of its place decide.

    >>> import numpy as np
    >>> [str(read_decimal(one, ("cash",))) for one in (3, 0.1, np.float32(0.1), "12.50")]
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
    """A fraction whose decimals end, as a Decimal."""
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
    number = Decimal(str(value))  # the digits of the type: np.float32(0.1) is 0.1 as well
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
    """Return whether all values are Decimals, at the speed of C.

    >>> are_decimals([Decimal(1), 2])
    False
    """
    return {*map(type, values)} <= {Decimal}
