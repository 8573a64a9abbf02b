"""JSON text in and out: numbers stay exact both ways."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NoReturn

import orjson

from optimization.weights import Weight

Json = dict[str, Any]


def decoded(body: bytes) -> Any:
    """The value of a JSON text, its fractions as Decimal; raises json.JSONDecodeError only."""
    try:
        text = body.decode()
        return json.loads(text, parse_float=Decimal, parse_constant=_refused)
    except json.JSONDecodeError:
        raise
    except (ValueError, RecursionError) as error:  # not UTF-8, an endless integer, a deep nest
        raise json.JSONDecodeError("not a usable JSON text", "", 0) from error


def json_invalid(error: json.JSONDecodeError) -> Json:
    """What is wrong with a text that is not JSON, as the framework lists it."""
    place, context = ("body", error.pos), {"error": error.msg}
    return {"type": "json_invalid", "loc": place, "msg": "JSON decode error", "ctx": context}


def encoded(value: Any) -> bytes:
    return orjson.dumps(value)


def plain(value: Decimal) -> str:
    """A Decimal digit by digit, never in exponent form.

    >>> plain(Decimal("5E+3")), plain(Decimal("1E-8"))
    ('5000', '0.00000001')
    """
    return f"{value:f}"


def number(value: Decimal | int | None) -> orjson.Fragment | int | None:
    """A JSON number written from the Decimal's own digits."""
    return orjson.Fragment(plain(value)) if isinstance(value, Decimal) else value


def weight_number(weight: Weight) -> orjson.Fragment | str:
    """A JSON number for a weight, or a string for a fraction such as "1/3"."""
    return orjson.Fragment(plain(weight)) if isinstance(weight, Decimal) else str(weight)


def string(value: Decimal | int | None) -> str | None:
    """A JSON string of the same digits."""
    if value is None:
        return None
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def whole(shares: Decimal | int) -> Decimal | int:
    """A number of shares as an integer where it is one, however it was made.

    >>> whole(Decimal("12.00")), whole(Decimal("0.5"))
    (12, Decimal('0.5'))
    """
    if isinstance(shares, int):
        return shares
    return int(shares) if shares == shares // 1 else shares


def instant(value: datetime | None) -> str | None:
    """ISO 8601 in UTC, with milliseconds and ``Z``.

    >>> instant(datetime(2026, 11, 23, 9, 30, tzinfo=UTC))
    '2026-11-23T09:30:00.000Z'
    """
    if value is None:
        return None
    return value.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _refused(constant: str) -> NoReturn:
    raise ValueError(constant)
