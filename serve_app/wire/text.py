"""JSON text in and out: numbers stay exact both ways."""

import json
from codecs import BOM_UTF8
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NoReturn

import orjson

from optimization.weights import Weight

Json = dict[str, Any]


class RepeatedNameError(ValueError):
    """An object of a JSON text has a member twice; ``path`` leads to the second one."""

    def __init__(self, path: tuple[str | int, ...]) -> None:
        super().__init__(path)
        self.path = path


class _RepeatedError(Exception):
    """Some object has a name twice; which one is found out by reading the text once more."""


class _Members(list[tuple[str, Any]]):
    """The members of an object as they were written, each of them."""


def decoded(body: bytes) -> Any:
    """The value of a JSON text, its fractions as Decimal; a byte order mark is passed over.

    Raises json.JSONDecodeError, and RepeatedNameError where a name stands twice in one object.
    """
    body = body.removeprefix(BOM_UTF8)
    try:
        return json.loads(
            body.decode(), parse_float=Decimal, parse_constant=_refused, object_pairs_hook=_object
        )
    except json.JSONDecodeError:
        raise
    except _RepeatedError:
        raise RepeatedNameError(_first_repeated(body.decode())) from None
    except (ValueError, RecursionError) as error:  # not UTF-8, an endless integer, a deep nest
        raise json.JSONDecodeError("not a usable JSON text", "", 0) from error


def json_errors(error: json.JSONDecodeError | RepeatedNameError) -> list[Json]:
    """What is wrong with a text that cannot be read, as the framework lists it."""
    if isinstance(error, RepeatedNameError):
        rule = "the name stands twice in its object; each may stand once"
        return [{"type": "repeated_name", "loc": ("body", *error.path), "msg": rule}]
    place, context = ("body", error.pos), {"error": error.msg}
    return [{"type": "json_invalid", "loc": place, "msg": "JSON decode error", "ctx": context}]


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
    count = int(shares)
    return count if count == shares else shares


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


def _object(members: list[tuple[str, Any]]) -> Json:
    made = dict(members)
    if len(made) < len(members):
        raise _RepeatedError
    return made


def _first_repeated(text: str) -> tuple[str | int, ...]:
    """The path of the first member whose name its object has already."""
    waiting: list[tuple[tuple[str | int, ...], Any]] = [
        ((), json.loads(text, object_pairs_hook=_Members))
    ]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, _Members):
            names: set[str] = set()
            for name, _ in value:
                if name in names:
                    return (*path, name)
                names.add(name)
        inner: Iterable[tuple[str | int, Any]] = (
            value if isinstance(value, _Members) else enumerate(value)
        )
        nested = [((*path, step), each) for step, each in inner if isinstance(each, list)]
        waiting += reversed(nested)
    raise AssertionError
