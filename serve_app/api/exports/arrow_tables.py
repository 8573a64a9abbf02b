"""Tables as Parquet and as an Arrow IPC stream, page by page, and pages of objects as columns.

Amounts, prices and quantities are decimal128(38, 18), exact: a number of more decimals ends the
table unfinished, because a rounded one would not be recognizable. Only a distance from a band is
rounded to 18 decimals, because that from a band around a third never ends.
"""

import asyncio
import io
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import date
from decimal import Decimal
from itertools import accumulate
from typing import Any, Final, TypeAlias

import pyarrow as pa
from pyarrow import ipc, parquet

from optimization import EXACT, OutsideBand, PortfolioOutcome, count_needed_decimals
from serve_app.api.exports.transactions import Page
from serve_app.api.media_types import PARQUET

ARROW_STREAM: Final = "application/vnd.apache.arrow.stream"
FILE_ENDINGS: Final = {ARROW_STREAM: "arrows", PARQUET: "parquet"}
ROW_GROUP_ROWS: Final = 65_536  # fewer make a file slow to read
ROW_GROUP_BYTES: Final = 32 * 2**20  # because a row group is held in memory before it is written
DECIMAL: Final = pa.decimal128(38, 18)
LAST_DECIMAL: Final = Decimal(1).scaleb(-DECIMAL.scale)
TEXT: Final = pa.string()

TRANSACTIONS: Final = pa.schema(
    [
        ("rebalance_id", TEXT),
        ("portfolio_id", TEXT),
        ("security_id", TEXT),
        ("transaction_type", TEXT),
        ("quantity", DECIMAL),
        ("price", DECIMAL),
        ("amount", DECIMAL),
        ("trade_date", pa.date32()),
    ]
)
POSITION: Final = pa.struct(
    [
        ("security_id", TEXT),
        ("price", DECIMAL),
        ("original_quantity", DECIMAL),
        ("adjusted_quantity", DECIMAL),
    ]
)
OUTSIDE_BAND: Final = pa.struct(
    [("security_id", TEXT), ("side", TEXT), ("outside", DECIMAL), ("held_by", pa.list_(TEXT))]
)
OUTCOMES: Final = pa.schema(
    [
        ("rebalance_id", TEXT),
        ("portfolio_id", TEXT),
        ("status", TEXT),
        ("market_value", DECIMAL),
        ("base", DECIMAL),
        ("cash_before_rebalance", DECIMAL),
        ("cash_after_rebalance", DECIMAL),
        ("open_orders_counted", pa.int32()),
        ("error_code", TEXT),
        ("error_detail", TEXT),
        ("outside_band", pa.list_(OUTSIDE_BAND)),
        ("positions", pa.list_(POSITION)),
    ]
)

RULES: Final = pa.schema([("blocked_by", pa.list_(TEXT)), ("warned_by", pa.list_(TEXT))])
"""Rules that the plan of a portfolio breaks: the last columns of both tables."""
TRANSACTIONS_WITH_RULES: Final = pa.schema([*TRANSACTIONS, *RULES])
OUTCOMES_WITH_RULES: Final = pa.schema([*OUTCOMES, *RULES])

# The names stand for Any, because pyarrow comes without types.
Schema: TypeAlias = Any
RecordBatch: TypeAlias = Any
Table: TypeAlias = Any
Tables = AsyncIterator[Table]


async def arrow_stream(schema: Schema, pages: Tables) -> AsyncIterator[bytes]:
    """Write an Arrow IPC stream, the batches of each page as record batches.

    A caller that leaves does not close the writer, because a thread may be in it.
    """
    sink = _Sink()
    writer = ipc.new_stream(sink, schema)
    async for page in pages:
        if page.num_rows:
            await asyncio.to_thread(writer.write_table, page)
            yield sink.take()
    writer.close()
    yield sink.take()


async def parquet_file(schema: Schema, pages: Tables) -> AsyncIterator[bytes]:
    """Write a Parquet file whose row groups are collected from pages.

    Its footer is the last part, so a file that broke off is no Parquet file.
    """
    sink = _Sink()
    writer = parquet.ParquetWriter(sink, schema, compression="zstd")
    row_group: list[Table] = []
    async for page in pages:
        row_group += [page] if page.num_rows else []
        if _is_row_group(row_group):
            await asyncio.to_thread(writer.write_table, pa.concat_tables(row_group))
            row_group.clear()
            yield sink.take()
    if row_group:
        await asyncio.to_thread(writer.write_table, pa.concat_tables(row_group))
    await asyncio.to_thread(writer.close)
    yield sink.take()


def _is_row_group(pages: Sequence[Table]) -> bool:
    rows, size = (sum(getattr(page, of) for page in pages) for of in ("num_rows", "nbytes"))
    return rows >= ROW_GROUP_ROWS or size >= ROW_GROUP_BYTES


TABLE_WRITERS: Final = {ARROW_STREAM: arrow_stream, PARQUET: parquet_file}


class _Sink(io.RawIOBase):
    """File that hands over the bytes written to it."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._size += len(part)
        return len(part)

    def take(self) -> bytes:
        """Return the bytes written since the last call."""
        content = b"".join(self._parts)
        self._parts.clear()
        return content


def transactions_batch(page: Page) -> RecordBatch:
    """Convert a page of transactions to columns."""
    columns = [*zip(*page, strict=True)] or [()] * len(TRANSACTIONS)
    texts = [list(map(str, column)) for column in columns[:4]]
    numbers = [list(map(Decimal, column)) for column in columns[4:7]]
    days = list(map(date.fromisoformat, columns[7]))
    return _batch([*texts, *numbers, days], TRANSACTIONS)


def add_rules(table: Table, broken: Sequence[Sequence[Sequence[str] | None]]) -> Table:
    """Add the columns of RULES; for each row both lists of names, None without any rule."""
    for place, field in enumerate(RULES):
        names = [None if rules[place] is None else list(rules[place] or ()) for rules in broken]
        table = table.append_column(field, pa.array(names, field.type))
    return table


def outcomes_batch(rebalance_id: str, outcomes: Sequence[PortfolioOutcome]) -> RecordBatch:
    """Convert the outcomes of some portfolios of a rebalance to columns."""
    refusals = [outcome.refusal for outcome in outcomes]
    columns: list[Any] = [
        [rebalance_id] * len(outcomes),
        [outcome.portfolio_id for outcome in outcomes],
        [outcome.status.value for outcome in outcomes],
        [outcome.market_value for outcome in outcomes],
        [outcome.base for outcome in outcomes],
        [outcome.cash_before for outcome in outcomes],
        [outcome.cash_after for outcome in outcomes],
        [outcome.counted_orders for outcome in outcomes],
        [refusal and refusal.code for refusal in refusals],
        [refusal and refusal.detail for refusal in refusals],
        [list(map(_outside, outcome.outside_band)) for outcome in outcomes],
        _positions(outcomes),
    ]
    return _batch(columns, OUTCOMES)


def _outside(edge: OutsideBand) -> dict[str, Any]:
    side, held_by = edge.side.value, list(edge.held_by)
    outside = edge.outside
    if count_needed_decimals(outside) > DECIMAL.scale:
        outside = EXACT.quantize(outside, LAST_DECIMAL)
    return {"security_id": edge.security_id, "side": side, "outside": outside, "held_by": held_by}


def _positions(outcomes: Sequence[PortfolioOutcome]) -> Any:
    """Build lists of positions from flat columns, because an object for each would be slow."""
    holdings = [(*outcome.securities, *outcome.others) for outcome in outcomes]
    columns = [
        pa.array([security.security_id for row in holdings for security in row], TEXT),
        _array([security.price for row in holdings for security in row], DECIMAL),
        _array([Decimal(shares) for outcome in outcomes for shares in outcome.before], DECIMAL),
        _array([Decimal(shares) for outcome in outcomes for shares in outcome.after], DECIMAL),
    ]
    ends = pa.array([*accumulate(map(len, holdings), initial=0)], pa.int32())
    return pa.ListArray.from_arrays(ends, pa.StructArray.from_arrays(columns, fields=[*POSITION]))


def _batch(columns: Iterable[Any], schema: Schema) -> RecordBatch:
    arrays = [
        column if isinstance(column, pa.Array) else _array(column, field.type)
        for column, field in zip(columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(values: Sequence[Any], of_type: Any) -> Any:
    try:
        return pa.array(values, of_type)
    except pa.ArrowInvalid:
        if of_type != DECIMAL:
            raise
        # Arrow counts the zeros at the end, too, and refuses numbers that would fit without them.
        return pa.array([value and value.normalize(EXACT) for value in values], of_type)
