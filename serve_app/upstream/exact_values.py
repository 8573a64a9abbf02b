"""Exact values of an upstream's JSON; a value that violates the contract raises ValueError."""

import re
from decimal import Decimal
from typing import Any
from unicodedata import category

MAX_DIGITS = 34  # digits of a Decimal128, before and after the point together
MAX_NUMBER_LENGTH = 80
MAX_TEXT_LENGTH = 255
PLAIN = re.compile(r"-?[0-9]+(?:\.[0-9]+)?", re.ASCII)
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)


def read_decimal(value: Any) -> Decimal:
    """Convert a JSON string or number to a decimal of at most 34 digits when written out.

    The bound is needed because 1e999999 is valid JSON, and exact arithmetic with it never ends.

    >>> read_decimal("3356336"), read_decimal(Decimal("101.23"))
    (Decimal('3356336'), Decimal('101.23'))
    """
    # Fast path, because a page of balances has thousands of numbers, nearly all plain text.
    if type(value) is str and len(value) <= MAX_DIGITS and PLAIN.fullmatch(value):
        return Decimal(value)
    match value:
        case bool():
            raise ValueError("a boolean is no number")
        case int() | Decimal():
            number = Decimal(value)
        case str() if len(value) <= MAX_NUMBER_LENGTH and NUMBER.fullmatch(value):
            number = Decimal(value)
        case _:
            raise ValueError(f"{_quote(value)} is no number")
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int):
        raise ValueError(f"{number} is not finite")
    if max(number.adjusted() + 1, 1) + max(-exponent, 0) > MAX_DIGITS:
        raise ValueError(f"a number has more than {MAX_DIGITS} digits")
    return number


def read_text(value: Any) -> str:
    """Check an id, a ticker or a name: 1 to 255 characters, no control or lone surrogate."""
    if type(value) is str and 0 < len(value) <= MAX_TEXT_LENGTH and value.isprintable():
        return value
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT_LENGTH:
        raise ValueError(f"{_quote(value)} is no text of 1 to {MAX_TEXT_LENGTH} characters")
    if any(category(character)[0] == "C" for character in value):
        raise ValueError("a text holds control characters")
    return value


def read_integer(value: Any) -> int:
    """Check a JSON integer."""
    if type(value) is not int:
        raise ValueError(f"{_quote(value)} is no whole number")
    return value


def read_objects(value: Any) -> list[dict[str, Any]]:
    """Check a JSON array of objects."""
    if not isinstance(value, list):
        raise ValueError(f"{_quote(value)} is no array")
    if not all(isinstance(item, dict) for item in value):
        raise ValueError("an array holds something else than objects")
    return value


def _quote(value: Any) -> str:
    """Quote a scalar in a few characters, but no other value, because it may be megabytes long."""
    scalar = value is None or isinstance(value, (str, int, float, Decimal))
    return repr(value[:40] if isinstance(value, str) else value)[:60] if scalar else "a value"
