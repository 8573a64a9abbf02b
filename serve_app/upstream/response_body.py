"""Response bodies: read in parts up to a bound, and parsed as strict JSON."""

import json
import zlib
from collections.abc import AsyncIterable, Mapping
from decimal import Decimal
from typing import Any

PLAIN = frozenset({"", "identity"})
GZIP = frozenset({"gzip", "x-gzip"})
GZIP_WINDOW_BITS = 31


class UnreadableError(ValueError):
    """A body is too large, in an encoding that was not accepted, or not strict JSON."""


async def read_body(
    raw_parts: AsyncIterable[bytes], headers: Mapping[str, str], max_bytes: int
) -> bytes:
    """Read the body of a streamed response, and inflate it if it is gzip.

    Raises UnreadableError beyond ``max_bytes``, counted after inflation because a few kilobytes of
    gzip may stand for gigabytes.
    """
    encoding = headers.get("Content-Encoding", "").strip().lower()
    if encoding not in PLAIN | GZIP:
        raise UnreadableError("has a Content-Encoding that was not asked for")
    inflater = zlib.decompressobj(GZIP_WINDOW_BITS) if encoding in GZIP else None
    parts: list[bytes] = []
    size = 0
    async for raw in raw_parts:
        part = raw if inflater is None else _inflate(inflater, raw, max_bytes - size + 1)
        size += len(part)
        if size > max_bytes:
            raise UnreadableError(f"has more than {max_bytes:,} bytes")
        parts.append(part)
    if inflater is not None and not inflater.eof:
        raise UnreadableError("is gzip that breaks off")
    return b"".join(parts)


def parse_json(body: bytes) -> Any:
    """Parse a JSON text in UTF-8, with fractions as Decimal.

    Raises UnreadableError for texts that RFC 8259 leaves open and parsers read differently: a
    duplicate name in an object, NaN and Infinity, and nesting beyond the depth of the parser.
    """
    try:
        return json.loads(
            body.decode("utf-8-sig"),
            parse_float=Decimal,
            parse_constant=_refuse_constant,
            object_pairs_hook=_to_object,
        )
    except RecursionError:
        reason = "is nested too deeply"
    except UnreadableError as error:
        reason = str(error)
    except UnicodeDecodeError:
        reason = "is not UTF-8"
    except (ArithmeticError, ValueError):
        reason = "is not JSON"
    # The error is raised here, because the parser's own errors keep the whole body alive.
    raise UnreadableError(reason)


def _inflate(inflater: Any, raw: bytes, max_bytes: int) -> bytes:
    try:
        part = inflater.decompress(raw, max_bytes)
    except zlib.error:
        raise UnreadableError("is not gzip") from None
    if inflater.unused_data:
        raise UnreadableError("goes on after its gzip")
    return part


def _refuse_constant(name: str) -> None:
    raise UnreadableError(f"holds {name}, which is no JSON number")


def _to_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = set[str]()
        name = next(name for name, _ in pairs if name in names or names.add(name))
        raise UnreadableError(f"has the name {name[:40]!r} twice in one object")
    return members
