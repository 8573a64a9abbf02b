"""Portfolio columns: portfolio objects of one model and one price mapping as a PortfolioBlock.

Each holding takes a look-up and a conversion to int64. Holdings are not tested for whole shares one
by one: rounded down, they keep their value if and only if all of them are whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from itertools import chain, repeat
from math import floor
from operator import itemgetter

import numpy as np

from optimization.domain.numbers import EXACT
from optimization.domain.portfolio import Portfolio
from optimization.exact.columns import OtherHoldings, PortfolioBlock
from optimization.exact.scaled_column import INT64_DIGITS, ScaledColumn
from optimization.exact.scaled_integers import INT64_SAFE, Integers, ModelUnits

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, eq=False)
class PortfolioRows:
    """Portfolios that share arrays, their places among all portfolios, and their block."""

    places: Sequence[int]
    portfolios: Sequence[Portfolio]
    outside: Sequence[Sequence[str]]  # ids of their holdings outside the model, in order
    block: PortfolioBlock
    is_whole: bool  # every holding is a whole number of shares


@dataclass(slots=True, eq=False)
class _Row:
    place: int
    portfolio: Portfolio
    shares: Sequence[Decimal]  # one per security of the model
    outside: Sequence[str]  # ids of the other holdings, in order


def collect_rows(
    security_ids: Sequence[str], units: ModelUnits, portfolios: Sequence[Portfolio]
) -> list[PortfolioRows]:
    """Collect the portfolios that share the price mapping of the first one, as up to two blocks.

    One block has only whole holdings, the other has a fraction of a share in each row.
    """
    rows = _read_rows(security_ids, units, portfolios)
    lots = _round_down(rows, len(security_ids))
    worth = _value(lots, units.prices)
    is_whole = [_is_whole(row, value, units) for row, value in zip(rows, worth, strict=True)]
    blocks: list[PortfolioRows] = []
    whole = [at for at, is_row_whole in enumerate(is_whole) if is_row_whole]
    if whole:
        shares = ScaledColumn(lots if len(whole) == len(rows) else lots[whole], 0)
        blocks.append(_collect([rows[at] for at in whole], shares, is_whole=True))
    if len(whole) < len(rows):
        some = [row for row, is_row_whole in zip(rows, is_whole, strict=True) if not is_row_whole]
        shares = scale_decimals([*chain.from_iterable(row.shares for row in some)])
        shares = ScaledColumn(shares.units.reshape(len(some), len(security_ids)), shares.decimals)
        blocks.append(_collect(some, shares, is_whole=False))
    return blocks


def scale_decimals(values: Sequence[Decimal]) -> ScaledColumn:
    """Make a column of finite decimals, at the scale of the longest one as written.

    >>> scale_decimals([Decimal("2.50"), Decimal(-3)]).units.tolist()
    [250, -300]
    """
    # The sum has the exponent of the longest value.
    exponent = reduce(EXACT.add, values, ZERO).as_tuple().exponent
    decimals = -exponent if isinstance(exponent, int) else 0
    scaled = list(map(EXACT.scaleb, values, repeat(decimals)))
    units = list(map(int, scaled))
    if decimals > INT64_DIGITS or units != scaled:
        return ScaledColumn.from_numbers(values)
    is_narrow = max(map(abs, units), default=0) < INT64_SAFE
    return ScaledColumn(np.array(units, dtype=np.int64 if is_narrow else np.object_), decimals)


def _read_rows(
    security_ids: Sequence[str], units: ModelUnits, portfolios: Sequence[Portfolio]
) -> list[_Row]:
    prices, count = portfolios[0].prices, len(security_ids)
    get_all = itemgetter(*security_ids) if count > 1 else None
    rows: list[_Row] = []
    for place, portfolio in enumerate(portfolios):
        if portfolio.prices is prices:
            holdings, outside = portfolio.holdings, units.others.find_ids(portfolio)
            if get_all is not None and len(holdings) == count + len(outside):
                shares: Sequence[Decimal] = get_all(holdings)
            else:
                shares = list(map(holdings.get, security_ids, repeat(ZERO)))
            rows.append(_Row(place, portfolio, shares, outside))
    return rows


def _round_down(rows: Sequence[_Row], count: int) -> Integers:
    """Whole shares of the model's securities, rounded down; shape (B, n)."""
    shape = len(rows), count
    try:
        flat = chain.from_iterable(row.shares for row in rows)
        lots = np.fromiter(flat, np.int64, len(rows) * count).reshape(shape)
    except OverflowError:
        lots = np.full(shape, INT64_SAFE)
    if int(lots.max(initial=0)) >= INT64_SAFE or int(lots.min(initial=0)) <= -INT64_SAFE:
        flat = chain.from_iterable(row.shares for row in rows)
        return np.array([*map(floor, flat)], dtype=np.object_).reshape(shape)
    # Repaired, because int64 truncates: a short position upwards, less than one share to 0.
    counts = np.array([len(row.portfolio.holdings) - len(row.outside) for row in rows])
    is_down = (np.count_nonzero(lots > 0, axis=1) == counts).tolist()
    for at, is_row_down in enumerate(is_down):
        if not is_row_down:
            lots[at] = [*map(floor, rows[at].shares)]
    return lots


def _value(lots: Integers, prices: Sequence[int]) -> list[int]:
    """Value of the lots of each row, in the units of the prices."""
    if lots.dtype == np.int64 and max(prices, default=0) < INT64_SAFE:
        most = np.abs(lots).astype(float) @ np.array(prices, dtype=float)
        if float(most.max(initial=0)) < INT64_SAFE:
            return (lots @ np.array(prices, dtype=np.int64)).tolist()
    return (lots.astype(object) * np.array(prices, dtype=object)).sum(axis=1).tolist()


def _is_whole(row: _Row, worth: int, units: ModelUnits) -> bool:
    """Whether the holdings of a row are whole; ``worth`` is their value rounded down, in units."""
    portfolio, outside = row.portfolio, row.portfolio.cash
    for security_id in row.outside:
        shares = portfolio.holdings[security_id]
        if floor(shares) != shares:
            return False
        outside = EXACT.fma(shares, portfolio.prices[security_id], outside)
    value = EXACT.subtract(portfolio.market_value, outside)
    return EXACT.scaleb(value, units.decimals) == worth


def _collect(rows: Sequence[_Row], shares: ScaledColumn, *, is_whole: bool) -> PortfolioRows:
    portfolios = [row.portfolio for row in rows]
    ids = tuple([portfolio.portfolio_id for portfolio in portfolios])
    cash = scale_decimals([portfolio.cash for portfolio in portfolios])
    block = PortfolioBlock(ids, cash, shares, _collect_others(rows))
    places, outside = [row.place for row in rows], [row.outside for row in rows]
    return PortfolioRows(places, portfolios, outside, block, is_whole)


def _collect_others(rows: Sequence[_Row]) -> OtherHoldings:
    ids = sorted(set(chain.from_iterable(row.outside for row in rows)))
    if not ids:
        return OtherHoldings.none()
    prices, place = (
        rows[0].portfolio.prices,
        {security_id: at for at, security_id in enumerate(ids)},
    )
    held = (row.portfolio.holdings[security_id] for row in rows for security_id in row.outside)
    return OtherHoldings(
        np.repeat(np.arange(len(rows), dtype=np.int32), [len(row.outside) for row in rows]),
        np.array(
            [place[security_id] for row in rows for security_id in row.outside], dtype=np.int32
        ),
        scale_decimals([*held]),
        tuple(ids),
        tuple(prices[security_id] for security_id in ids),
    )
