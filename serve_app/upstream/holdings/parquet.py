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
from decimal import Decimal
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from serve_app.upstream.errors import (
    HoldingsFileError,
    HoldingsMissingError,
    UpstreamContractError,
)
from serve_app.upstream.holdings.files import book_files, fingerprint
from serve_app.upstream.holdings.source import Balance, Found

PORTFOLIO, SECURITY, QUANTITY = COLUMNS = ("portfolio_id", "security_id", "quantity")
ARROW_SUFFIXES = (".arrow", ".feather")
FILES_KNOWN = 4
PARTS_DECODED = 2
MAX_ROWS_PER_BATCH = 2**18  # because a record batch may be a whole file


def holdings_file(directory: Path, name: str) -> "HoldingsFile":
    """Open files of holdings as a source; footers are read again only after a file changed.

    Raises HoldingsFileError, as ``book_files`` does.
    """
    return _open(book_files(directory, name), name, fingerprint(directory, name))


@lru_cache(maxsize=FILES_KNOWN)
def _open(files: tuple[Path, ...], name: str, _fingerprint: str) -> "HoldingsFile":
    return HoldingsFile(files, name)


class HoldingsFile:
    """HoldingsSource over files; fast for portfolios that are neighbours in the files."""

    def __init__(self, files: Iterable[Path], name: str) -> None:
        self._name = name
        self._parts = [part for file in files for part in _parts_of(file, name)]
        self._rows = lru_cache(maxsize=PARTS_DECODED)(self._decode)
        self._one_at_a_time = threading.Lock()

    async def holdings(self, portfolio_ids: Iterable[str]) -> Mapping[str, Found]:
        """Read the balance of each portfolio; without rows it is missing, without cash row zero."""
        return await asyncio.to_thread(self._read, tuple(dict.fromkeys(portfolio_ids)))

    def _read(self, wanted: Sequence[str]) -> Mapping[str, Found]:
        ordered = sorted(wanted)
        held: dict[str, tuple[list[str | None], list[Decimal | None]]] = {}
        with self._one_at_a_time:
            for number, part in enumerate(self._parts):
                first, end = bisect_left(ordered, part.lowest), bisect_right(ordered, part.highest)
                if first == end:
                    continue
                rows = self._rows(number)
                for portfolio_id in ordered[first:end]:
                    for securities, quantities in rows.of(portfolio_id):
                        known = held.setdefault(portfolio_id, ([], []))
                        known[0].extend(securities)
                        known[1].extend(quantities)
        return {
            one: _to_balance(one, *held[one]) if one in held else HoldingsMissingError(one)
            for one in wanted
        }

    def _decode(self, number: int) -> "_Rows":
        try:
            return _Rows(self._parts[number].table())
        except (OSError, pa.ArrowException) as error:
            raise HoldingsFileError(self._name, "cannot be read") from error


@dataclass(frozen=True, slots=True)
class _Part:
    """Part of a file: the range of its portfolio ids, and a function that reads it."""

    lowest: str
    highest: str
    table: Callable[[], Any]


class _Rows:
    """Rows of one part, sorted by portfolio."""

    def __init__(self, table: Any) -> None:
        portfolio_ids, places = _encode(table[PORTFOLIO])
        self._securities, of_row = _encode(table[SECURITY])
        quantities = _combine(table[QUANTITY])
        order = np.argsort(places, kind="stable")
        self._of_row, places = of_row[order], places[order]
        quantities = quantities.take(pa.array(order))
        whole = pa.types.is_integer(quantities.type) and not quantities.null_count
        self._whole: NDArray[np.int64] | None = quantities.to_numpy() if whole else None
        self._quantities = quantities
        ends = [*(np.flatnonzero(np.diff(places)) + 1).tolist(), len(places)]
        self._stretches: dict[str | None, list[tuple[int, int]]] = {}
        for start, end in zip([0, *ends], ends, strict=False):
            if start < end:
                of_portfolio = self._stretches.setdefault(portfolio_ids[places[start]], [])
                of_portfolio.append((start, end))

    def of(self, portfolio_id: str) -> Iterator[tuple[list[str | None], list[Decimal | None]]]:
        """Yield the rows of a portfolio: securities (None for cash) and quantities."""
        for start, end in self._stretches.get(portfolio_id, ()):
            places = self._of_row[start:end].tolist()
            yield [self._securities[place] for place in places], self._exact(start, end)

    def _exact(self, start: int, end: int) -> list[Decimal | None]:
        if self._whole is not None:
            return list(map(Decimal, self._whole[start:end].tolist()))
        values = self._quantities[start:end].to_pylist()
        return [None if shares is None else Decimal(shares) for shares in values]


def _to_balance(
    portfolio_id: str, securities: list[str | None], quantities: list[Decimal | None]
) -> Found:
    held = dict(zip(securities, quantities, strict=True))
    if len(held) < len(securities) or None in quantities:
        what = "a row without a quantity" if None in quantities else "two rows of one security"
        return UpstreamContractError("holdings file", f"portfolio {portfolio_id} has {what}")
    cash = held.pop(None, None) or Decimal(0)
    return Balance(
        portfolio_id,
        cash,
        {one: shares for one, shares in held.items() if one is not None and shares},
    )


def _parts_of(file: Path, name: str) -> Iterator[_Part]:
    is_arrow = file.suffix in ARROW_SUFFIXES
    try:
        yield from _batches(file, name) if is_arrow else _row_groups(file, name)
    except (OSError, pa.ArrowException) as error:
        kind = "an Arrow" if is_arrow else "a Parquet"
        raise HoldingsFileError(name, f"is not {kind} file") from error


def _row_groups(file: Path, name: str) -> Iterator[_Part]:
    footer = pq.read_metadata(file)
    schema = footer.schema.to_arrow_schema()
    _require_columns(name, schema)
    column = footer.schema.names.index(PORTFOLIO)
    for number in range(footer.num_row_groups):
        statistics: Any = footer.row_group(number).column(column).statistics
        table = partial(_row_group, file, footer, number)
        if statistics is not None and statistics.has_min_max:
            yield _Part(statistics.min, statistics.max, table)
        else:
            yield from _part_with_range(table)


def _row_group(file: Path, footer: Any, number: int) -> Any:
    # Dictionary-encoded, because the same ids repeat in many rows.
    encoded: Any = [PORTFOLIO, SECURITY]
    with pq.ParquetFile(file, metadata=footer, read_dictionary=encoded) as opened:
        return opened.read_row_group(number, columns=list(COLUMNS), use_threads=False)


def _batches(file: Path, name: str) -> Iterator[_Part]:
    with pa.memory_map(str(file)) as source:
        opened: Any = pa.ipc.open_file(source)
        _require_columns(name, opened.schema)
        sizes = [opened.get_batch(number).num_rows for number in range(opened.num_record_batches)]
    for number, size in enumerate(sizes):
        for start in range(0, size, MAX_ROWS_PER_BATCH):
            yield from _part_with_range(partial(_batch, file, number, start))


def _batch(file: Path, number: int, start: int) -> Any:
    with pa.memory_map(str(file)) as source:
        opened: Any = pa.ipc.open_file(source)
        batch = opened.get_batch(number).slice(start, MAX_ROWS_PER_BATCH)
    return pa.Table.from_batches([batch])


def _part_with_range(table: Callable[[], Any]) -> Iterator[_Part]:
    """Yield a part whose range has to be computed; nothing if it has no portfolio."""
    ids = table()[PORTFOLIO]
    if pa.types.is_dictionary(ids.type):
        ids = ids.cast(ids.type.value_type)
    range_of_ids = pc.call_function("min_max", [ids]).as_py()
    if range_of_ids["min"] is not None:
        yield _Part(range_of_ids["min"], range_of_ids["max"], table)


def _encode(column: Any) -> tuple[list[str | None], NDArray[np.int64]]:
    """Encode a column: its distinct values, then None, and the index of each row's value."""
    array = _combine(column)
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    return [*array.dictionary.to_pylist(), None], array.indices.fill_null(-1).to_numpy()


def _combine(column: Any) -> Any:
    return column.unify_dictionaries().combine_chunks()


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
