"""HoldingsFile: the holdings of a book that no service could serve, from Parquet or Arrow files.

One row a holding: ``portfolio_id``, ``security_id`` (null for cash) and ``quantity`` (an integer or a decimal,
never a float), sorted by portfolio_id. A directory of such files is one book.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray

from serve_app.upstream.errors import (
    HoldingsFileError,
    HoldingsMissingError,
    UpstreamContractError,
)
from serve_app.upstream.holdings import Balance, Found

PORTFOLIO, SECURITY, QUANTITY = COLUMNS = ("portfolio_id", "security_id", "quantity")
ARROW_SUFFIXES = (".arrow", ".feather")
FILES_KEPT_OPEN = 4
# Securities stay what they are in the file, a few different ones and their places. Not so the portfolios: the
# statistics of an encoded column leave no row groups out.
AS_STORED: Mapping[str, Any] = {"dictionary_columns": {SECURITY}}


def fingerprint(path: Path, name: str) -> str:
    """Changes when the file does. Raises HoldingsFileError if there is none."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    try:
        found = [file.stat() for file in files]
    except FileNotFoundError as error:
        raise HoldingsFileError(name, "is not in HOLDINGS_DIRECTORY") from error
    return " ".join(f"{each.st_size}-{each.st_mtime_ns}" for each in found)


def holdings_file(path: Path, name: str) -> "HoldingsFile":
    """The file as a source of holdings; its footer is read once for as long as it stays as it is."""
    return _opened(path, name, fingerprint(path, name))


@lru_cache(maxsize=FILES_KEPT_OPEN)
def _opened(path: Path, name: str, _fingerprint: str) -> "HoldingsFile":
    return HoldingsFile(path, name)


class HoldingsFile:
    """A HoldingsSource; asks for portfolios that stand together in the file, for these it reads alone."""

    def __init__(self, path: Path, name: str) -> None:
        self._name = name
        is_arrow = path.suffix in ARROW_SUFFIXES
        kind: Any = ds.IpcFileFormat() if is_arrow else ds.ParquetFileFormat(**AS_STORED)
        try:
            self._dataset: Any = ds.dataset(path, format=kind)
        except (OSError, pa.ArrowException) as error:
            raise HoldingsFileError(
                name, f"is not a {'Arrow' if is_arrow else 'Parquet'} file"
            ) from error
        _require_columns(name, self._dataset.schema)

    async def holdings(self, portfolio_ids: Iterable[str]) -> Mapping[str, Found]:
        """The balance of each portfolio; one without any row is missing, one without a row of cash has none."""
        return await asyncio.to_thread(self._read, tuple(dict.fromkeys(portfolio_ids)))

    async def reachable(self) -> None:
        """The file is there."""

    def _read(self, wanted: Sequence[str]) -> Mapping[str, Found]:
        ids: Any = pc.field(PORTFOLIO)
        # The range lets whole groups of rows be left out by their statistics.
        within = (ids >= min(wanted)) & (ids <= max(wanted)) & ids.isin(list(wanted))
        try:
            table = self._dataset.to_table(list(COLUMNS), filter=within, use_threads=False)
        except (OSError, pa.ArrowException) as error:
            raise HoldingsFileError(self._name, "cannot be read") from error
        found: dict[str, Found] = {one: HoldingsMissingError(one) for one in wanted}
        for portfolio_id, securities, quantities in _portfolios(table):
            found[portfolio_id] = _found(portfolio_id, securities, quantities)
        return found


def _portfolios(table: Any) -> Iterator[tuple[str, list[str | None], list[Decimal | None]]]:
    """The rows of each portfolio: securities, None for cash, and quantities."""
    if table.num_rows == 0:
        return
    portfolio_ids, places = _encoded(table[PORTFOLIO])
    order = np.argsort(places, kind="stable")
    security_ids, of_row = _encoded(table[SECURITY])
    securities = [security_ids[place] for place in of_row[order].tolist()]
    quantities = _quantities(table[QUANTITY].take(pa.array(order)))
    ends = [*(np.flatnonzero(np.diff(places[order])) + 1).tolist(), len(order)]
    for start, end in zip([0, *ends], ends, strict=False):
        portfolio_id = portfolio_ids[places[order[start]]]
        assert portfolio_id is not None  # it is one of those that were asked for
        yield portfolio_id, securities[start:end], quantities[start:end]


def _found(
    portfolio_id: str, securities: list[str | None], quantities: list[Decimal | None]
) -> Found:
    held = dict(zip(securities, quantities, strict=True))
    if len(held) < len(securities) or None in quantities:
        what = "a row without a quantity" if None in quantities else "two rows of one security"
        return UpstreamContractError("holdings file", f"portfolio {portfolio_id} has {what}")
    cash = held.pop(None, None) or Decimal(0)
    return Balance(
        portfolio_id, cash, {one: shares for one, shares in held.items() if one and shares}
    )


def _encoded(column: Any) -> tuple[list[str | None], NDArray[np.int64]]:
    """The different values of a column, None at the end, and the place of each row's value among them."""
    array = column.combine_chunks()
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    return [*array.dictionary.to_pylist(), None], array.indices.fill_null(-1).to_numpy()


def _quantities(column: Any) -> list[Decimal | None]:
    if pa.types.is_decimal(column.type):
        return column.to_pylist()
    return [None if shares is None else Decimal(shares) for shares in column.to_pylist()]


def _require_columns(name: str, schema: Any) -> None:
    missing = [column for column in COLUMNS if column not in schema.names]
    if missing:
        raise HoldingsFileError(name, f"has no column {missing[0]}")
    quantity = schema.field(QUANTITY).type
    if not (pa.types.is_decimal(quantity) or pa.types.is_integer(quantity)):
        raise HoldingsFileError(
            name, f"has quantities of {quantity}: integers or decimals are exact"
        )
