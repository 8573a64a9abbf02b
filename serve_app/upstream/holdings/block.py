"""Holdings block: the holdings of many portfolios as arrays, without an object for each holding."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimization import EXACT, ScaledColumn
from serve_app.upstream.errors import HoldingsMissingError, UpstreamContractError
from serve_app.upstream.holdings.source import (
    Balance,
    BalanceOrError,
    BlockSource,
    HoldingsBlock,
    HoldingsError,
    HoldingsSource,
    fetch_holdings,
)

Places = NDArray[np.intp]
Units = NDArray[Any]
"""Whole numbers: int64, or Python integers in an object array where one is larger."""
Digits = NDArray[np.signedinteger]
MAX_INT64 = 2**63 - 1
LACKING, REPEATED = "a row without a quantity", "two rows of one security"


async def fetch_block(
    source: HoldingsSource, portfolio_ids: Sequence[str], security_ids: Sequence[str], tries: int
) -> HoldingsBlock:
    """Read distinct portfolios as a block, dense in these securities.

    Raises what ``fetch_holdings`` raises.
    """
    if isinstance(source, BlockSource):
        return await source.read_block(portfolio_ids, security_ids)
    return convert_to_block(
        portfolio_ids, security_ids, await fetch_holdings(source, portfolio_ids, tries)
    )


def convert_to_balances(block: HoldingsBlock) -> dict[str, BalanceOrError]:
    """Convert a block without dense securities to a balance or error for each portfolio."""
    holdings: list[dict[str, Decimal]] = [{} for _ in block.portfolio_ids]
    places = block.other_rows.tolist(), block.other_securities.tolist()
    for row, place, shares in zip(*places, _convert_decimals(block.other_quantities), strict=True):
        holdings[row][block.other_ids[place]] = shares
    rows = zip(block.portfolio_ids, _convert_decimals(block.cash), holdings, strict=True)
    balances: dict[str, BalanceOrError] = {
        portfolio_id: Balance(portfolio_id, cash, shares) for portfolio_id, cash, shares in rows
    }
    return balances | {block.portfolio_ids[row]: error for row, error in block.errors.items()}


def convert_to_block(
    portfolio_ids: Sequence[str],
    security_ids: Sequence[str],
    balance_by_id: Mapping[str, BalanceOrError],
) -> HoldingsBlock:
    """Convert balances to a block, each amount with the digits that it is written with."""
    balances = [
        (row, balance_by_id[portfolio_id]) for row, portfolio_id in enumerate(portfolio_ids)
    ]
    known_balances = {row: balance for row, balance in balances if isinstance(balance, Balance)}
    cash = ScaledColumn.from_written([balance.cash for balance in known_balances.values()])
    shares = ScaledColumn.from_written(
        [shares for balance in known_balances.values() for shares in balance.holdings.values()]
    )
    builder = BlockBuilder(tuple(portfolio_ids), security_ids, shares.decimals, cash.decimals)
    rows = np.array(list(known_balances), np.intp)
    builder.add(
        rows, builder.number_columns([None] * len(known_balances)), cash.units, digits=cash.digits
    )
    sizes = [len(balance.holdings) for balance in known_balances.values()]
    columns = builder.number_columns(
        security_id for balance in known_balances.values() for security_id in balance.holdings
    )
    builder.add(np.repeat(rows, sizes), columns, shares.units, digits=shares.digits)
    errors = {row: error for row, error in balances if not isinstance(error, Balance)}
    return replace(builder.build(is_checked=True), errors=errors)


class BlockBuilder:
    """Builder of a block from entries, one a holding, in any order and any number of pieces.

    A portfolio without entries, with an entry that lacks its quantity, or with two entries for one
    security gets an error of its own.

    >>> builder = BlockBuilder(("P", "Q"), ("A", "B"), decimals=0)
    >>> columns = builder.number_columns(["B", None, "GOLD"])  # None is cash
    >>> builder.add(np.array([0, 0, 0]), columns, np.array([5, 1000, 2]))
    >>> block = builder.build()
    >>> block.quantities.units.tolist(), block.cash.units.tolist(), block.other_ids
    ([[0, 5], [0, 0]], [1000, 0], ('GOLD',))
    >>> block.errors
    {1: HoldingsMissingError('Q')}
    """

    def __init__(
        self,
        portfolio_ids: tuple[str, ...],
        security_ids: Sequence[str],
        decimals: int,
        cash_decimals: int | None = None,
    ) -> None:
        self._portfolio_ids = portfolio_ids
        self._decimals = decimals
        self._cash_decimals = decimals if cash_decimals is None else cash_decimals
        # The columns are the dense securities, cash, then every other security as it comes.
        self._cash = len(security_ids)
        self._columns: dict[str | None, int] = {
            security_id: at for at, security_id in enumerate(security_ids)
        }
        self._columns[None] = self._cash
        shape = (len(portfolio_ids), self._cash + 1)
        self._dense: Units = np.zeros(shape, np.int64)
        self._has_entry = np.zeros(shape, np.bool_)
        self._entries = np.zeros(len(portfolio_ids), np.intp)  # count of each row
        self._digits: Digits | None = None  # None if all entries have the same
        self._others: list[tuple[Places, Places, Units, Digits]] = []
        self._lacking: set[int] = set()

    def number_columns(self, security_ids: Iterable[str | None]) -> Places:
        """Return the column of each security, None for cash."""
        columns, ids = self._columns, list(security_ids)
        for security_id in dict.fromkeys(ids):
            columns.setdefault(security_id, len(columns))
        return np.array(list(map(columns.__getitem__, ids)), np.intp)

    def add(
        self,
        rows: Places,
        columns: Places,
        units: Units,
        lacks: NDArray[np.bool_] | None = None,
        digits: Digits | None = None,
    ) -> None:
        """Add entries; ``units`` is 0 where an entry ``lacks`` its quantity.

        ``digits`` are those after the point that the entries are written with, by default all.
        """
        self._entries += np.bincount(rows, minlength=len(self._entries))
        if lacks is not None:
            self._lacking.update(rows[lacks].tolist())
        if len(columns) and columns.max() > self._cash:
            is_other = columns > self._cash
            written_digits = digits
            if written_digits is None:
                written_digits = np.full(len(rows), self._decimals, np.int32)
            self._others.append(
                (rows[is_other], columns[is_other], units[is_other], written_digits[is_other])
            )
            rows, columns, units = rows[~is_other], columns[~is_other], units[~is_other]
            digits = None if digits is None else digits[~is_other]
        if units.dtype == np.object_:
            self._dense = self._dense.astype(np.object_)
        self._dense[rows, columns] = units
        self._has_entry[rows, columns] = True
        if digits is not None:
            if self._digits is None:
                self._digits = np.full(self._dense.shape, self._decimals, np.int32)
                self._digits[:, self._cash] = self._cash_decimals
            self._digits[rows, columns] = digits

    def build(self, *, is_checked: bool = False) -> HoldingsBlock:
        """Build the block of all entries; ``is_checked`` if no row can have an error."""
        no_digits = np.zeros(0, np.int32)
        none = np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0, np.int64), no_digits
        rows, columns, units, digits = map(np.concatenate, zip(none, *self._others, strict=True))
        errors = {} if is_checked else self._find_errors(rows, columns)
        self._dense[list(errors)] = 0
        is_held = (units != 0) & ~np.isin(rows, list(errors))
        rows, units, digits = rows[is_held], units[is_held], digits[is_held]
        securities, other_ids = self._number_securities(columns[is_held])
        order = np.lexsort((securities, rows))
        return HoldingsBlock(
            self._portfolio_ids,
            self._build_dense_column(self._cash, self._cash_decimals),
            self._build_dense_column(slice(self._cash), self._decimals),
            rows[order].astype(np.int32),
            securities[order].astype(np.int32),
            _build_column(units[order], self._decimals, digits[order]),
            other_ids,
            errors,
        )

    def _build_dense_column(self, columns: slice | int, decimals: int) -> ScaledColumn:
        digits = None if self._digits is None else self._digits[:, columns]
        return _build_column(self._dense[:, columns], decimals, digits)

    def _find_errors(self, rows: Places, columns: Places) -> dict[int, HoldingsError]:
        """Find the rows without entries, with incomplete ones, or with two for one security."""
        cells = np.unique(rows * len(self._columns) + columns)
        distinct = self._has_entry.sum(axis=1)
        distinct += np.bincount(cells // len(self._columns), minlength=len(distinct))
        errors: dict[int, HoldingsError] = {}
        for row in np.flatnonzero((self._entries == 0) | (distinct < self._entries)).tolist():
            is_missing = self._entries[row] == 0
            errors[row] = (
                self._build_missing_error(row)
                if is_missing
                else self._build_contract_error(row, REPEATED)
            )
        return errors | {row: self._build_contract_error(row, LACKING) for row in self._lacking}

    def _build_missing_error(self, row: int) -> HoldingsMissingError:
        return HoldingsMissingError(self._portfolio_ids[row])

    def _build_contract_error(self, row: int, what: str) -> UpstreamContractError:
        return UpstreamContractError(
            "holdings file", f"portfolio {self._portfolio_ids[row]} has {what}"
        )

    def _number_securities(self, columns: Places) -> tuple[Places, tuple[str, ...]]:
        """Number the securities of these columns by their ids; return the numbers and the ids."""
        distinct, numbers = np.unique(columns, return_inverse=True)
        names = list(self._columns)
        ids = [str(names[column]) for column in distinct.tolist()]
        order = np.array(sorted(range(len(ids)), key=ids.__getitem__), np.intp)
        by_id = np.empty_like(order)
        by_id[order] = np.arange(len(ids))
        return by_id[numbers], tuple(sorted(ids))


def _build_column(units: Units, decimals: int, digits: Digits | None) -> ScaledColumn:
    """Make a column, without digits if all values have its decimals."""
    is_alike = digits is None or bool((digits == decimals).all())
    written_digits = None if is_alike or digits is None else np.ascontiguousarray(digits)
    return ScaledColumn(fit_int64(units), decimals, written_digits)


def multiply(units: Units, factor: int) -> Units:
    """Multiply whole numbers exactly, as Python integers where a product may exceed int64.

    >>> multiply(np.array([2**62, 1]), 10)
    array([46116860184273879040, 10], dtype=object)
    """
    if factor == 1:
        return units
    fits = max(_find_largest(units), 1) * factor <= MAX_INT64
    return (units if fits else units.astype(np.object_)) * factor


def fit_int64(units: Units) -> Units:
    """Return whole numbers as one piece of int64 if all of them fit.

    >>> fit_int64(np.array([5, 2**62], dtype=object)).dtype
    dtype('int64')
    """
    if units.dtype == np.object_ and _find_largest(units) <= MAX_INT64:
        return units.astype(np.int64)
    return np.ascontiguousarray(units)


def _find_largest(units: Units) -> int:
    """Largest absolute value; Python integers, because abs(-2**63) exceeds int64."""
    return max(abs(int(units.max())), abs(int(units.min()))) if units.size else 0


def _convert_decimals(column: ScaledColumn) -> list[Decimal]:
    """Convert a column of one dimension."""
    if column.digits is not None:
        return [column.value(place) for place in range(len(column.units))]
    units = map(Decimal, column.units.tolist())
    if not column.decimals:
        return list(units)
    return [EXACT.scaleb(unit_count, -column.decimals) for unit_count in units]
