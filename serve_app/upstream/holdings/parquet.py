"""Holdings from Parquet or Arrow files, for more portfolios than a service could serve.

A row is one holding: ``portfolio_id``, ``security_id`` (null for cash) and ``quantity`` (an integer
or a decimal, never a float), sorted by portfolio_id. A directory of such files is read as one.

A file is read in parts, the row groups of Parquet and the record batches of Arrow, and only parts
whose range of portfolio ids overlaps the requested ids. The last decoded parts are kept, because
the chunks of a run follow the order of the file.
"""

import asyncio
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from serve_app.upstream.errors import HoldingsFileError
from serve_app.upstream.holdings.block import BlockBuilder, convert_to_balances
from serve_app.upstream.holdings.files import fingerprint, list_book_files
from serve_app.upstream.holdings.part_rows import (
    COLUMNS,
    PORTFOLIO,
    QUANTITY,
    SECURITY,
    PartRows,
    read_decimals,
)
from serve_app.upstream.holdings.source import BalanceOrError, HoldingsBlock

ARROW_SUFFIXES = (".arrow", ".feather")
MAX_OPEN_FILES = 4
MAX_DECODED_PARTS = 2
MAX_ROWS_PER_BATCH = 2**18  # because a record batch may be a whole file


def open_holdings_file(directory: Path, name: str) -> "HoldingsFile":
    """Open files of holdings as a source; footers are read again only after a file changed.

    Raises HoldingsFileError, as ``list_book_files`` does.
    """
    return _open(list_book_files(directory, name), name, fingerprint(directory, name))


@lru_cache(maxsize=MAX_OPEN_FILES)
def _open(files: tuple[Path, ...], name: str, _fingerprint: str) -> "HoldingsFile":
    return HoldingsFile(files, name)


class HoldingsFile:
    """HoldingsSource over files; fast for portfolios that are neighbours in the files."""

    def __init__(self, files: Iterable[Path], name: str) -> None:
        self._name = name
        self._parts = [part for file in files for part in _list_parts(file, name)]
        self._decimals = max((part.decimals for part in self._parts), default=0)
        # Bounds that ascend even where the files are not sorted, to find parts by bisection.
        self._highest_so_far = list(accumulate((part.highest for part in self._parts), max))
        lowest = accumulate((part.lowest for part in reversed(self._parts)), min)
        self._lowest_to_come = list(lowest)[::-1]
        self._rows = lru_cache(maxsize=MAX_DECODED_PARTS)(self._decode)
        self._one_at_a_time = threading.Lock()

    async def read_holdings(self, portfolio_ids: Iterable[str]) -> Mapping[str, BalanceOrError]:
        """Read the balance of each portfolio; without rows it is missing, without cash row zero."""
        ids = tuple(dict.fromkeys(portfolio_ids))
        return await asyncio.to_thread(lambda: convert_to_balances(self._read(ids, ())))

    async def read_block(
        self, portfolio_ids: Sequence[str], security_ids: Sequence[str]
    ) -> HoldingsBlock:
        """Read distinct portfolios as a block; amounts have the most decimals of the files."""
        return await asyncio.to_thread(self._read, tuple(portfolio_ids), security_ids)

    def _read(self, portfolio_ids: tuple[str, ...], security_ids: Sequence[str]) -> HoldingsBlock:
        builder = BlockBuilder(portfolio_ids, security_ids, self._decimals)
        rows = sorted(range(len(portfolio_ids)), key=portfolio_ids.__getitem__)
        ordered = [portfolio_ids[row] for row in rows]
        with self._one_at_a_time:
            for number in self._find_parts(ordered):
                part = self._parts[number]
                first, end = bisect_left(ordered, part.lowest), bisect_right(ordered, part.highest)
                if first < end:
                    scale = 10 ** (self._decimals - part.decimals)
                    selection = ordered[first:end], rows[first:end]
                    self._rows(number).add_to_block(builder, *selection, scale)
        return builder.build()

    def _find_parts(self, ordered: Sequence[str]) -> range:
        """Return the range of parts that may hold any of these ids."""
        if not ordered:
            return range(0)
        first = bisect_left(self._highest_so_far, ordered[0])
        return range(first, bisect_right(self._lowest_to_come, ordered[-1]))

    def _decode(self, number: int) -> PartRows:
        try:
            return PartRows(self._parts[number].table())
        except (OSError, pa.ArrowException) as error:
            raise HoldingsFileError(self._name, "cannot be read") from error


@dataclass(frozen=True, slots=True)
class _Part:
    """Part of a file: the range of its portfolio ids, its decimals, and a function to read it."""

    lowest: str
    highest: str
    decimals: int
    table: Callable[[], Any]


def _list_parts(file: Path, name: str) -> Iterator[_Part]:
    is_arrow = file.suffix in ARROW_SUFFIXES
    try:
        yield from _list_batches(file, name) if is_arrow else _list_row_groups(file, name)
    except (OSError, pa.ArrowException) as error:
        kind = "an Arrow" if is_arrow else "a Parquet"
        raise HoldingsFileError(name, f"is not {kind} file") from error


def _list_row_groups(file: Path, name: str) -> Iterator[_Part]:
    footer = pq.read_metadata(file)
    schema = footer.schema.to_arrow_schema()
    _require_columns(name, schema)
    decimals = read_decimals(schema.field(QUANTITY).type)
    column = footer.schema.names.index(PORTFOLIO)
    for number in range(footer.num_row_groups):
        statistics: Any = footer.row_group(number).column(column).statistics
        table = partial(_read_row_group, file, footer, number)
        if statistics is not None and statistics.has_min_max:
            yield _Part(statistics.min, statistics.max, decimals, table)
        else:
            yield from _measure_part(decimals, table)


def _read_row_group(file: Path, footer: Any, number: int) -> Any:
    # Ids are dictionary-encoded, because they repeat in many rows.
    encoded: Any = [PORTFOLIO, SECURITY]
    with pq.ParquetFile(file, metadata=footer, read_dictionary=encoded) as reader:
        return reader.read_row_group(number, columns=list(COLUMNS), use_threads=False)


def _list_batches(file: Path, name: str) -> Iterator[_Part]:
    with pa.memory_map(str(file)) as source:
        reader: Any = pa.ipc.open_file(source)
        _require_columns(name, reader.schema)
        decimals = read_decimals(reader.schema.field(QUANTITY).type)
        sizes = [reader.get_batch(number).num_rows for number in range(reader.num_record_batches)]
    for number, size in enumerate(sizes):
        for start in range(0, size, MAX_ROWS_PER_BATCH):
            yield from _measure_part(decimals, partial(_read_batch, file, number, start))


def _read_batch(file: Path, number: int, start: int) -> Any:
    with pa.memory_map(str(file)) as source:
        reader: Any = pa.ipc.open_file(source)
        batch = reader.get_batch(number).slice(start, MAX_ROWS_PER_BATCH)
    return pa.Table.from_batches([batch])


def _measure_part(decimals: int, table: Callable[[], Any]) -> Iterator[_Part]:
    """Yield a part whose range has to be computed; nothing if it has no portfolio."""
    ids = table()[PORTFOLIO]
    if pa.types.is_dictionary(ids.type):
        ids = ids.cast(ids.type.value_type)
    range_of_ids = pc.call_function("min_max", [ids]).as_py()
    if range_of_ids["min"] is not None:
        yield _Part(range_of_ids["min"], range_of_ids["max"], decimals, table)


def _require_columns(name: str, schema: Any) -> None:
    missing = [column for column in COLUMNS if column not in schema.names]
    if missing:
        raise HoldingsFileError(name, f"has no column {missing[0]}")
    for column in (PORTFOLIO, SECURITY):
        kind = schema.field(column).type
        text = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not (pa.types.is_string(text) or pa.types.is_large_string(text)):
            raise HoldingsFileError(name, f"has a {column} of {kind}: ids are strings")
    quantity = schema.field(QUANTITY).type
    if not (pa.types.is_decimal(quantity) or pa.types.is_integer(quantity)):
        raise HoldingsFileError(
            name, f"has quantities of {quantity}: integers or decimals are exact"
        )
