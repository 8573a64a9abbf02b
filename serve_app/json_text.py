"""JSON text in and out: numbers stay exact both ways."""

import json
import re
from codecs import BOM_UTF8
from collections.abc import Iterable
from contextlib import suppress
from decimal import Decimal
from typing import Any, ClassVar, Final, NoReturn, overload

import orjson

from optimization import Weight

Json = dict[str, Any]
Path = tuple[str | int, ...]
SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")  # a half, or a whole pair
LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class AmbiguousTextError(ValueError):
    """A JSON text that two readers take for different values; ``path`` leads to the place.

    AmbiguousTextError
      RepeatedNameError   an object has a member twice; the path leads to the second one
      LoneSurrogateError  half of a surrogate pair, in a text or in a name of the object at the path
    """

    kind: ClassVar[str]
    rule: ClassVar[str]

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path


class RepeatedNameError(AmbiguousTextError):
    """An object has a member twice."""

    kind = "repeated_name"
    rule = "the object has two members of this name"


class LoneSurrogateError(AmbiguousTextError):
    """A text or a name holds half of a surrogate pair, which no UTF-8 can write."""

    kind = "lone_surrogate"
    rule = "a text or a name has an unpaired surrogate, which is not a character"


class _RepeatedError(Exception):
    """Repeated name in some object; a second reading of the text finds the place."""


class _Members(list[tuple[str, Any]]):
    """Members of an object as written, with repeated names."""


def decode(body: bytes) -> Any:
    """Parse a JSON text with its fractions as Decimal; skip a byte order mark.

    Raise json.JSONDecodeError or AmbiguousTextError.
    """
    try:
        return _read(body.removeprefix(BOM_UTF8).decode())
    except (json.JSONDecodeError, AmbiguousTextError):
        raise
    except (ValueError, RecursionError) as error:  # not UTF-8, an endless integer, a deep nest
        raise json.JSONDecodeError("not a usable JSON text", "", 0) from error


def json_errors(error: json.JSONDecodeError | AmbiguousTextError) -> list[Json]:
    """List the fault of an unreadable text as the framework does."""
    if isinstance(error, AmbiguousTextError):
        return [{"type": error.kind, "loc": ("body", *error.path), "msg": error.rule}]
    place, context = ("body", error.pos), {"error": error.msg}
    return [{"type": "json_invalid", "loc": place, "msg": "JSON decode error", "ctx": context}]


def encode(value: Any) -> bytes:
    return orjson.dumps(value)


def plain(value: Decimal) -> str:
    """Write a Decimal digit by digit, never in exponent form.

    >>> plain(Decimal("5E+3")), plain(Decimal("1E-8"))
    ('5000', '0.00000001')
    """
    return f"{value:f}"


@overload
def write_number(value: Decimal | int) -> orjson.Fragment | int: ...
@overload
def write_number(value: Decimal | int | None) -> orjson.Fragment | int | None: ...
def write_number(value: Decimal | int | None) -> orjson.Fragment | int | None:
    """Write a JSON number from the Decimal's own digits."""
    return orjson.Fragment(plain(value)) if isinstance(value, Decimal) else value


def write_weight(weight: Weight) -> orjson.Fragment | str:
    """Write a weight as a JSON number, or a fraction such as "1/3" as a string."""
    return orjson.Fragment(plain(weight)) if isinstance(weight, Decimal) else str(weight)


@overload
def write_string(value: Decimal | int) -> str: ...
@overload
def write_string(value: Decimal | int | None) -> str | None: ...
def write_string(value: Decimal | int | None) -> str | None:
    """Write a JSON string of the same digits."""
    if value is None:
        return None
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def whole(shares: Decimal | int) -> Decimal | int:
    """Return a whole number of shares as an integer, any other unchanged.

    >>> whole(Decimal("12.00")), whole(Decimal("0.5"))
    (12, Decimal('0.5'))
    """
    if isinstance(shares, int):
        return shares
    count = int(shares)
    return count if count == shares else shares


def _read(text: str) -> Any:
    value, is_suspect = None, True
    with suppress(_RepeatedError):
        value = json.loads(
            text,
            parse_float=Decimal,
            parse_constant=_refuse_constant,
            object_pairs_hook=_build_object,
        )
        # An escape alone can make half of a pair, because the text itself is UTF-8.
        is_suspect = SURROGATE_ESCAPE.search(text) is not None
    if is_suspect and (ambiguity := _find_ambiguity(text)):
        raise ambiguity
    return value


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(constant)


def _build_object(members: list[tuple[str, Any]]) -> Json:
    names_and_values = dict(members)
    if len(names_and_values) < len(members):
        raise _RepeatedError
    return names_and_values


def _find_ambiguity(text: str) -> AmbiguousTextError | None:
    """Find the first place of a text that two readers take for different values."""
    waiting: list[tuple[Path, Any]] = [((), json.loads(text, object_pairs_hook=_Members))]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, str):
            if LONE_SURROGATE.search(value):
                return LoneSurrogateError(path)
            continue
        if isinstance(value, _Members) and (ambiguity := _find_ambiguous_name(path, value)):
            return ambiguity
        inner: Iterable[tuple[str | int, Any]] = (
            value if isinstance(value, _Members) else enumerate(value)
        )
        nested = [((*path, step), item) for step, item in inner if isinstance(item, list | str)]
        waiting += reversed(nested)
    return None


def _find_ambiguous_name(path: Path, members: _Members) -> AmbiguousTextError | None:
    names: set[str] = set()
    for name, _ in members:
        if LONE_SURROGATE.search(name):
            return LoneSurrogateError(path)  # because no pointer could write the name
        if name in names:
            return RepeatedNameError((*path, name))
        names.add(name)
    return None
