"""Column builder: converts rows of a PortfolioBlock to the exact integer arrays of block.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING
from typing import Self

import numpy as np
from numpy.typing import NDArray

from optimization.domain.numbers import EXACT, Amount, Percent, count_needed_decimals
from optimization.exact.block import Block, fits_int64, largest_number
from optimization.exact.block_builder import FLOAT_MARGIN
from optimization.exact.columns import PortfolioBlock
from optimization.exact.scaled_column import INT64_DIGITS, ScaledColumn
from optimization.exact.scaled_integers import INT64_SAFE, Integers, ModelUnits, to_units


@dataclass(frozen=True, slots=True, eq=False)
class ColumnBlock:
    """A block, and the value that its rows keep in other holdings."""

    block: Block  # investable excludes ``unsellable``
    unsellable: Integers  # (B,) units: value of the other holdings' fractions of a share


def build_column_block(
    model: ModelUnits,
    other_prices: ScaledColumn,
    portfolios: PortfolioBlock,
    rows: slice,
    cash_floor: Amount,
    lots: Sequence[int],
) -> ColumnBlock:
    """Build the block of some rows; its columns are the securities of the model.

    ``other_prices`` belong to ``portfolios.others.ids``; ``lots`` are the shares in a lot of each
    security of the model.
    """
    columns = _Columns.from_rows(portfolios, rows, other_prices)
    decimals = _count_money_decimals(model, columns)
    is_narrow = _fits_int64(model, columns, cash_floor, decimals, max(lots, default=1))
    dtype = np.int64 if is_narrow else np.object_

    def whole(values: Sequence[int]) -> Integers:
        return np.array(values, dtype=dtype)

    scale = 10 ** (decimals - model.decimals)
    price, shares_in_lot = whole([price * scale for price in model.prices]), whole(lots)
    before, rest = _split_into_lots(columns.quantities.with_dtype(dtype), shares_in_lot)
    remainder = rest * (price // 10**columns.quantities.decimals)
    lot_value = price * shares_in_lot
    others, unsellable = _value_others(columns, decimals, dtype)
    market_value = columns.cash.units.astype(dtype) * 10 ** (decimals - columns.cash.decimals)
    market_value += (before * lot_value).sum(axis=1) + remainder.sum(axis=1) + others
    block = Block(
        decimals=decimals,
        denominator=model.denominator,
        lot_value=lot_value,
        weight=whole(model.weight),
        low=whole(model.low),
        high=whole(model.high),
        remainder=remainder,
        before=before,
        market_value=market_value,
        investable=_compute_investable(market_value, cash_floor, decimals) - unsellable,
    )
    return ColumnBlock(block, unsellable)


def _split_into_lots(shares: ScaledColumn, lots: Integers) -> tuple[Integers, Integers]:
    """Split into whole lots, rounded down, and the rest in units; (1, 1) without any rest."""
    if (lots > 1).any():
        in_units = lots * 10**shares.decimals
        before = shares.units // in_units
        return before, shares.units - before * in_units
    if shares.decimals:
        return shares.split()
    return shares.units, np.zeros((1, 1), dtype=shares.units.dtype)


@dataclass(frozen=True, slots=True, eq=False)
class _Columns:
    """Consecutive rows of a PortfolioBlock, which has checked them."""

    cash: ScaledColumn
    quantities: ScaledColumn
    others: ScaledColumn
    other_rows: NDArray[np.signedinteger]
    other_prices: ScaledColumn

    @classmethod
    def from_rows(cls, portfolios: PortfolioBlock, rows: slice, other_prices: ScaledColumn) -> Self:
        others = portfolios.others
        first, end = np.searchsorted(others.rows, (rows.start, rows.stop)).tolist()
        span = slice(first, end)
        return cls(
            portfolios.cash.select(rows),
            portfolios.quantities.select(rows),
            others.quantities.select(span),
            others.rows[span] - rows.start,
            ScaledColumn(other_prices.units[others.securities[span]], other_prices.decimals),
        )


def _value_others(columns: _Columns, decimals: int, dtype: type) -> tuple[Integers, Integers]:
    """Value of the other holdings of each row in units, and of their fractions; shape (B,)."""
    value, unsellable = (np.zeros(columns.cash.units.shape, dtype) for _ in range(2))
    if len(columns.others.units):
        shares, prices = columns.others.with_dtype(dtype), columns.other_prices
        price = prices.units.astype(dtype) * 10 ** (decimals - prices.decimals - shares.decimals)
        np.add.at(value, columns.other_rows, shares.units * price)
        if shares.decimals:
            np.add.at(unsellable, columns.other_rows, shares.split()[1] * price)
    return value, unsellable


def _count_money_decimals(model: ModelUnits, columns: _Columns) -> int:
    """Decimals in which every amount of the rows is a whole number."""
    needed = [columns.cash.decimals, model.decimals + columns.quantities.decimals]
    if len(columns.others.units):
        needed.append(columns.other_prices.decimals + columns.others.decimals)
    return max(needed)


def decimals_alone(model: ModelUnits, portfolios: PortfolioBlock, row: int) -> int:
    """Decimals of money that one row needs, independent of the other rows."""
    quantities, others = portfolios.quantities, portfolios.others
    needed = [model.decimals, count_needed_decimals(portfolios.cash.value(row))]
    if quantities.decimals:
        places = enumerate(model.price_decimals)
        needed += [
            digits + count_needed_decimals(quantities.value(row, at)) for at, digits in places
        ]
    first, end = np.searchsorted(others.rows, (row, row + 1)).tolist()
    for place in range(first, end):
        price = others.prices[int(others.securities[place])]
        needed.append(
            count_needed_decimals(price) + count_needed_decimals(others.quantities.value(place))
        )
    return max(needed)


def _fits_int64(
    model: ModelUnits, columns: _Columns, cash_floor: Amount, decimals: int, largest_lot: int
) -> bool:
    """Whether int64 holds every number that the engine computes from the rows."""
    cash, quantities, others = columns.cash, columns.quantities, columns.others
    prices = columns.other_prices
    if any(column.units.dtype == np.object_ for column in (cash, quantities, others, prices)):
        return False
    lot = largest_lot * max(model.prices, default=1) * 10 ** (decimals - model.decimals)
    if lot >= INT64_SAFE or decimals > INT64_DIGITS:
        return False
    unit = 10.0 ** (decimals - model.decimals - quantities.decimals)
    gross = unit * _bound_value(np.abs(quantities.units.astype(float)), model.prices)
    unit = 10.0 ** (decimals - cash.decimals)
    most = gross + unit * float(np.abs(cash.units.astype(float)).max())
    if len(others.units):
        value = np.abs(others.units.astype(float)) * prices.units
        unit = 10.0 ** (decimals - prices.decimals - others.decimals)
        most += unit * float(np.bincount(columns.other_rows, value).max())
        # The price alone too, because a holding below one share is worth less than its price.
        most += 10.0 ** (decimals - prices.decimals) * float(prices.units.max())
    floor = 0 if isinstance(cash_floor, Percent) else int(EXACT.scaleb(cash_floor, decimals))
    # A further lot of each security is added, because a fractional holding becomes whole lots.
    holdings_value = int(FLOAT_MARGIN * gross) + floor + lot * len(model.prices)
    largest = largest_number([int(FLOAT_MARGIN * most)], [lot], holdings_value, len(model.prices))
    return fits_int64(largest, model.denominator)


def _bound_value(shares: NDArray[np.float64], prices: Sequence[int]) -> float:
    return float((shares @ np.array(prices, dtype=float)).max())


def _compute_investable(market_value: Integers, cash_floor: Amount, decimals: int) -> Integers:
    """Market value less the cash floor, in whole units rounded down."""
    if not cash_floor:
        return market_value
    if not isinstance(cash_floor, Percent):
        floor = EXACT.scaleb(cash_floor, decimals).to_integral_value(ROUND_CEILING)
        return market_value - int(floor)
    digits = count_needed_decimals(cash_floor.value)
    whole = 100 * 10**digits
    invested = whole - to_units(cash_floor.value, digits)
    units = market_value
    if units.dtype != np.object_ and whole * int(np.abs(units).max()) >= INT64_SAFE:
        units = units.astype(object)
    return (units * invested // whole).astype(market_value.dtype)
