"""Bodies of answers: read in parts up to a bound, and parsed as JSON without a loophole."""

import json
import zlib
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import httpx

PLAIN = frozenset({"", "identity"})
GZIP = frozenset({"gzip", "x-gzip"})
GZIP_WINDOW_BITS = 31


class UnreadableError(ValueError):
    """A body that is too large, has an encoding nobody asked for, or is not strict JSON."""


async def read_body(response: httpx.Response, max_bytes: int) -> bytes:
    """Read the body of a streamed answer, inflated if it is gzip.

    Raises UnreadableError as soon as more than ``max_bytes`` came, counted after inflation: a few
    kilobytes of gzip may stand for gigabytes.
    """
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in PLAIN | GZIP:
        raise UnreadableError("has a Content-Encoding that was not asked for")
    inflater = zlib.decompressobj(GZIP_WINDOW_BITS) if encoding in GZIP else None
    parts: list[bytes] = []
    size = 0
    async for raw in response.aiter_raw():
        part = raw if inflater is None else _inflated(inflater, raw, max_bytes - size + 1)
        size += len(part)
        if size > max_bytes:
            raise UnreadableError(f"has more than {max_bytes:,} bytes")
        parts.append(part)
    if inflater is not None and not inflater.eof:
        raise UnreadableError("is gzip that breaks off")
    return b"".join(parts)


def parse_json(body: bytes) -> Any:
    """The value of a JSON text in UTF-8, its fractions as Decimal.

    Raises UnreadableError for everything that RFC 8259 leaves open and two parsers read differently:
    a name that an object has twice, NaN and Infinity, and nesting beyond what the parser can follow.
    """
    try:
        return json.loads(
            body.decode("utf-8-sig"),
            parse_float=Decimal,
            parse_constant=_refuse_constant,
            object_pairs_hook=_unique,
        )
    except RecursionError:
        reason = "is nested too deeply"
    except UnreadableError as error:
        reason = str(error)
    except UnicodeDecodeError:
        reason = "is not UTF-8"
    except (ArithmeticError, ValueError):
        reason = "is not JSON"
    # Raised out here, because the parser's own errors keep the whole body alive.
    raise UnreadableError(reason)


def _inflated(inflater: Any, raw: bytes, max_bytes: int) -> bytes:
    try:
        part = inflater.decompress(raw, max_bytes)
    except zlib.error:
        raise UnreadableError("is not gzip") from None
    if inflater.unused_data:
        raise UnreadableError("goes on after its gzip")
    return part


def _refuse_constant(name: str) -> None:
    raise UnreadableError(f"holds {name}, which is no JSON number")


def _unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in pairs:
        if name in made:
            raise UnreadableError(f"has the name {name[:40]!r} twice in one object")
        made[name] = value
    return made
