"""Turnover and weights of the plain rows of a block, for rows of whole shares."""

from collections.abc import Iterable
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from optimization.domain.numbers import EXACT
from optimization.domain.outcome import WEIGHT_PARTS
from optimization.exact.block_outcome import BlockOutcome
from optimization.exact.scaled_column import ScaledColumn, count_written_decimals, with_digits
from optimization.exact.scaled_integers import INT64_SAFE, Integers


def compute_turnovers(outcome: BlockOutcome) -> list[Decimal]:
    """Value of all trades of each row, in currency; shape (B,).

    The digits are those of ``PortfolioOutcome.turnover``.

    >>> from optimization.domain.model import DriftBand
    >>> from optimization.domain.portfolio import PricedTarget
    >>> from optimization.exact.columns import OtherHoldings
    >>> band = DriftBand(Decimal("0.05"), Decimal("0.05"))
    >>> fund = PricedTarget("A" * 24, Decimal("31.50"), Decimal("0.9"), band)
    >>> value, left = map(ScaledColumn.from_numbers, (["1000"], ["86.50"]))
    >>> before, after = (ScaledColumn.from_numbers([Decimal(u)], (1, 1)) for u in (0, 29))
    >>> columns = value, value, left, left, before, after, OtherHoldings.none(), {}
    >>> made = BlockOutcome((fund,), ("P" * 24,), np.array([0], dtype=np.int8), *columns)
    >>> compute_turnovers(made), compute_weights(made).tolist()
    ([Decimal('913.50')], [[9135]])
    """
    others, model_prices = outcome.others, [security.price for security in outcome.securities]
    model, outside = (
        ScaledColumn.from_numbers(model_prices),
        ScaledColumn.from_numbers(others.prices),
    )
    decimals = max(model.decimals, outside.decimals)
    traded = abs(outcome.after.split()[0] - outcome.before.split()[0])
    prices = model.at_scale(decimals).units
    total = _multiply(traded, prices, len(prices)).sum(axis=1)
    prices = outside.at_scale(decimals).units[others.securities]
    sold = _multiply(abs(others.quantities.split()[0]), prices, len(prices))
    if sold.dtype == np.object_:
        total = total.astype(np.object_)
    np.add.at(total, others.rows, sold)
    # A price adds its digits even if its security is not traded.
    digits = np.full(len(outcome), max(0, *_digits(model_prices).tolist(), 0), dtype=np.int64)
    np.maximum.at(digits, others.rows, _digits(others.prices)[others.securities])
    values = (EXACT.scaleb(Decimal(units), -decimals) for units in total.tolist())
    return [
        with_digits(value, places) for value, places in zip(values, digits.tolist(), strict=True)
    ]


def compute_weights(outcome: BlockOutcome) -> Integers:
    """Weights of the model's securities afterwards, in ``WEIGHT_PARTS``, half up; shape (B, n).

    A weight is 0 if the market value is not above 0, or if the position is short.

    >>> from optimization.domain.model import DriftBand
    >>> from optimization.domain.portfolio import PricedTarget
    >>> from optimization.exact.columns import OtherHoldings
    >>> band = DriftBand(Decimal("0.05"), Decimal("0.05"))
    >>> fund = PricedTarget("VTI", Decimal("31.50"), Decimal("0.9"), band)
    >>> value, left = map(ScaledColumn.from_numbers, (["1000"], ["86.50"]))
    >>> before, after = (ScaledColumn.from_numbers([Decimal(u)], (1, 1)) for u in (0, 29))
    >>> columns = value, value, left, left, before, after, OtherHoldings.none(), {}
    >>> made = BlockOutcome((fund,), ("Alice",), np.array([0], dtype=np.int8), *columns)
    >>> compute_weights(made).tolist()
    [[9135]]
    """
    prices = ScaledColumn.from_numbers(security.price for security in outcome.securities)
    decimals = max(prices.decimals, outcome.market_value.decimals)
    base = outcome.market_value.at_scale(decimals).units[:, None]
    value = _multiply(outcome.after.split()[0], prices.at_scale(decimals).units, 2 * WEIGHT_PARTS)
    base, is_valued = np.where(base > 0, base, 1), base > 0
    parts = (2 * WEIGHT_PARTS * value + base) // (2 * base)
    return np.where(is_valued & (value >= 0), parts, 0)


def _multiply(counts: Integers, prices: Integers, terms: int) -> Integers:
    """Products in int64 if the sum of ``terms`` of them fits, otherwise as Python integers."""
    largest = int(abs(counts).max(initial=0)) * int(prices.max(initial=0)) * terms
    if largest < INT64_SAFE:
        return counts.astype(np.int64) * prices.astype(np.int64)
    return counts.astype(np.object_) * prices.astype(np.object_)


def _digits(prices: Iterable[Decimal]) -> NDArray[np.int64]:
    return np.array([*map(count_written_decimals, prices)], dtype=np.int64)
