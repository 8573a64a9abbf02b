"""Entries of the audit log as CSV, JSON lines, Parquet and an Arrow stream."""

import csv
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from io import StringIO
from typing import Any, Final

import pyarrow as pa

from serve_app.api.exports.arrow_tables import TEXT, Table
from serve_app.api.exports.transactions import escape_formula
from serve_app.api.schemas.audit import entry_answer
from serve_app.json_text import encode
from storage.audit.chain import Entry, encode_canonically

_OF_TYPES: Final = {
    "seq": pa.int64(),
    "version": pa.int64(),
    **dict.fromkeys(("at", "sealed_at"), pa.timestamp("ms", tz="UTC")),
}
COLUMNS: Final = (
    "seq",
    "entry_id",
    "at",
    "sealed_at",
    "principal",
    "on_behalf_of",
    "action",
    "object_type",
    "object_id",
    "version",
    "before_hash",
    "after_hash",
    "diff",
    "outcome",
    "correlation_id",
    "previous_hash",
    "hash",
)
ENTRIES: Final = pa.schema([(name, _OF_TYPES.get(name, TEXT)) for name in COLUMNS])
Page = Sequence[Entry]


async def csv_rows(pages: AsyncIterator[Page]) -> AsyncIterator[bytes]:
    """Write CSV (RFC 4180): a header, CR LF, the differences as JSON text."""
    yield csv_text([])
    async for page in pages:
        yield _csv(map(_cells, page))


def csv_text(entries: Page) -> bytes:
    """Write these entries as a complete table."""
    return _csv([COLUMNS, *map(_cells, entries)])


async def json_lines(pages: AsyncIterator[Page]) -> AsyncIterator[bytes]:
    """Write one entry per line, each line terminated."""
    async for page in pages:
        yield b"".join(map(json_line, page))


def json_line(entry: Entry) -> bytes:
    """Write an entry as a line."""
    return encode(entry_answer(entry)) + b"\n"


def entries_table(page: Page) -> Table:
    """Convert entries to columns."""
    return pa.Table.from_pylist([_row(entry) for entry in page], schema=ENTRIES)


def _row(entry: Entry) -> dict[str, Any]:
    row = {name: entry[name] for name in COLUMNS}
    times = {name: datetime.fromisoformat(entry[name]) for name in ("at", "sealed_at")}
    return {**row, **times, "diff": _diff(entry)}


def _cells(entry: Entry) -> list[str]:
    cells = {**entry, "diff": _diff(entry)}
    values = [cells[name] for name in COLUMNS]
    return ["" if value is None else escape_formula(str(value)) for value in values]


def _diff(entry: Entry) -> str | None:
    return None if entry["diff"] is None else encode_canonically(entry["diff"]).decode()


def _csv(rows: Iterable[Sequence[str]]) -> bytes:
    text = StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()
