"""Column builder: rows of a PortfolioBlock to the integer arrays of block.py, exactly."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Self

import numpy as np
from numpy.typing import NDArray

from optimization.domain.numbers import EXACT, decimals_of, denominator_of, to_parts
from optimization.domain.option_values import Amount, Percent
from optimization.domain.portfolio import PricedTarget
from optimization.exact.block import Block, fits_int64, largest_number
from optimization.exact.columns import INT64_DIGITS, OtherHoldings, PortfolioBlock, ScaledColumn
from optimization.exact.scaled_integers import INT64_SAFE, Integers, to_units

FLOAT_MARGIN = 1.001  # of bounds in floats, because their sums are rounded


@dataclass(frozen=True, slots=True, eq=False)
class ModelUnits:
    """A model and the prices of a block, in whole units."""

    price_decimals: int
    prices: list[int]  # of the model's securities
    other_decimals: int
    other_prices: list[int]
    denominator: int
    weight: list[int]  # parts of 1 / denominator, as are the drifts
    low: list[int]
    high: list[int]

    @classmethod
    def of(cls, securities: Sequence[PricedTarget], others: OtherHoldings) -> Self:
        """Scale the prices and weights of a model, and the prices of other holdings."""
        weights = [one.weight for one in securities]
        lows, highs = [one.band.low for one in securities], [one.band.high for one in securities]
        # Each distinct weight once, because a model has few of them and each takes microseconds.
        distinct = {*weights, *lows, *highs}
        denominator = denominator_of(distinct)
        parts = {weight: to_parts(weight, denominator) for weight in distinct}
        prices = [one.price for one in securities]
        digits, other_digits = _decimals(prices), _decimals(others.prices)
        return cls(
            digits,
            [to_units(price, digits) for price in prices],
            other_digits,
            [to_units(price, other_digits) for price in others.prices],
            denominator,
            *([parts[weight] for weight in column] for column in (weights, lows, highs)),
        )


@dataclass(frozen=True, slots=True, eq=False)
class ColumnBlock:
    """A block of array rows, and what their other holdings keep."""

    block: Block  # investable is what the others leave
    kept: Integers  # (B,) units: value of the other holdings' fractions of a share


def build_column_block(
    model: ModelUnits, portfolios: PortfolioBlock, rows: slice, cash_floor: Amount
) -> ColumnBlock:
    """Build the block of some rows; its columns are the securities of the model."""
    columns = _Columns.of(portfolios, rows)
    cash, quantities, others = columns.cash, columns.quantities, columns.others
    decimals = _money_decimals(model, columns)
    dtype = np.int64 if _fits_int64(model, columns, cash_floor, decimals) else np.object_

    def whole(values: Sequence[int]) -> Integers:
        return np.array(values, dtype=dtype)

    scale = 10 ** (decimals - model.price_decimals)
    price = whole([one * scale for one in model.prices])
    shares = ScaledColumn(quantities.units.astype(dtype, copy=False), quantities.decimals)
    before, remainder = shares.units, whole([0]).reshape(1, 1)
    if shares.decimals:
        before, rest = shares.split()
        remainder = rest * (price // 10**shares.decimals)
    market_value = cash.units.astype(dtype) * 10 ** (decimals - cash.decimals)
    market_value += (before * price).sum(axis=1) + remainder.sum(axis=1)
    kept = np.zeros(len(market_value), dtype=dtype)
    if len(others.units):
        held = ScaledColumn(others.units.astype(dtype, copy=False), others.decimals)
        scale = 10 ** (decimals - model.other_decimals - held.decimals)
        other_price = whole([one * scale for one in model.other_prices])[columns.other_securities]
        np.add.at(market_value, columns.other_rows, held.units * other_price)
        if held.decimals:
            np.add.at(kept, columns.other_rows, held.split()[1] * other_price)
    block = Block(
        decimals=decimals,
        denominator=model.denominator,
        lot_value=price,
        weight=whole(model.weight),
        low=whole(model.low),
        high=whole(model.high),
        remainder=remainder,
        before=before,
        market_value=market_value,
        investable=_investable(market_value, cash_floor, decimals) - kept,
    )
    return ColumnBlock(block, kept)


@dataclass(frozen=True, slots=True, eq=False)
class _Columns:
    """Neighbouring rows of a PortfolioBlock, which were checked with it."""

    cash: ScaledColumn
    quantities: ScaledColumn
    others: ScaledColumn
    other_rows: NDArray[np.signedinteger]
    other_securities: NDArray[np.signedinteger]

    @classmethod
    def of(cls, portfolios: PortfolioBlock, rows: slice) -> Self:
        others = portfolios.others
        first, end = np.searchsorted(others.rows, (rows.start, rows.stop)).tolist()
        held = slice(first, end)
        return cls(
            portfolios.cash.select(rows),
            portfolios.quantities.select(rows),
            others.quantities.select(held),
            others.rows[held] - rows.start,
            others.securities[held],
        )


def _money_decimals(model: ModelUnits, columns: _Columns) -> int:
    """Decimals in which every amount of the rows is a whole number."""
    needed = [columns.cash.decimals, model.price_decimals + columns.quantities.decimals]
    if len(columns.others.units):
        needed.append(model.other_decimals + columns.others.decimals)
    return max(needed)


def decimals_alone(securities: Sequence[PricedTarget], portfolios: PortfolioBlock, row: int) -> int:
    """Decimals of money that one row needs, whatever its neighbours need."""
    quantities, others = portfolios.quantities, portfolios.others
    first, end = np.searchsorted(others.rows, (row, row + 1)).tolist()
    held = [(one.price, quantities.value(row, at)) for at, one in enumerate(securities)]
    held += [
        (others.prices[int(others.securities[place])], others.quantities.value(place))
        for place in range(first, end)
    ]
    needed = [decimals_of(price) + decimals_of(shares) for price, shares in held]
    return max(decimals_of(portfolios.cash.value(row)), *needed, 0)


def _fits_int64(model: ModelUnits, columns: _Columns, cash_floor: Amount, decimals: int) -> bool:
    """Whether int64 holds every number that the engine computes from the rows."""
    cash, quantities, others = columns.cash, columns.quantities, columns.others
    if any(one.units.dtype == np.object_ for one in (cash, quantities, others)):
        return False
    lot = max(model.prices, default=1) * 10 ** (decimals - model.price_decimals)
    other_lot = 0
    if len(others.units):
        other_lot = max(model.other_prices) * 10 ** (decimals - model.other_decimals)
    if max(lot, other_lot) >= INT64_SAFE or decimals - cash.decimals > INT64_DIGITS:
        return False
    unit = 10.0 ** (decimals - model.price_decimals - quantities.decimals)
    gross = unit * _largest_value(np.abs(quantities.units.astype(float)), model.prices)
    most = gross + float(np.abs(cash.units.astype(float)).max()) * 10.0 ** (
        decimals - cash.decimals
    )
    if len(others.units):
        price = np.array(model.other_prices, dtype=float)[columns.other_securities]
        value = np.bincount(columns.other_rows, np.abs(others.units.astype(float)) * price)
        most += float(value.max()) * 10.0 ** (decimals - model.other_decimals - others.decimals)
    floor = 0 if isinstance(cash_floor, Percent) else int(EXACT.scaleb(cash_floor, decimals))
    # Another lot of each security, because a fractional holding is rounded to whole lots.
    held = int(FLOAT_MARGIN * gross) + floor + lot * len(model.prices)
    largest = largest_number([int(FLOAT_MARGIN * most)], [lot], held, len(model.prices))
    return fits_int64(largest, model.denominator)


def _largest_value(shares: NDArray[np.float64], prices: Sequence[int]) -> float:
    return float((shares @ np.array(prices, dtype=float)).max())


def _investable(market_value: Integers, cash_floor: Amount, decimals: int) -> Integers:
    """Market value less the cash floor, in whole units rounded down."""
    if not cash_floor:
        return market_value
    if not isinstance(cash_floor, Percent):
        floor = EXACT.scaleb(cash_floor, decimals).to_integral_value(ROUND_CEILING)
        return market_value - int(floor)
    digits = decimals_of(cash_floor.value)
    whole = 100 * 10**digits
    invested = whole - to_units(cash_floor.value, digits)
    units = market_value
    if units.dtype != np.object_ and whole * int(np.abs(units).max()) >= INT64_SAFE:
        units = units.astype(object)
    return (units * invested // whole).astype(market_value.dtype)


def _decimals(prices: Iterable[Decimal]) -> int:
    return max(map(decimals_of, prices), default=0)
