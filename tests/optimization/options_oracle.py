"""The least objective under options, by trying every combination of lots.

Written from the words of RebalanceOptions in fractions; nothing of the engine is used but its inputs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import ceil, floor

from optimization.model import Model
from optimization.options import Direction, Percent, RebalanceOptions, Scope
from optimization.portfolio import Portfolio
from tests.optimization.oracle import Row, rows_of

TOO_MANY = 30_000


class TooManyError(Exception):
    """Too many combinations to try."""


@dataclass(frozen=True)
class Choice:
    """A row and the changes in lots that are open to it on its own."""

    row: Row
    lot: Fraction
    changes: tuple[int, ...]
    outside: bool  # not in the model


def best_with_options(
    model: Model, portfolio: Portfolio, options: RebalanceOptions
) -> Fraction | None:
    """The least objective in currency, None if no plan keeps everything."""
    flow = Fraction(options.cash_flow)
    cash = Fraction(portfolio.cash) + flow
    market_value = Fraction(portfolio.market_value) + flow
    paid_in = Portfolio(
        portfolio.portfolio_id,
        portfolio.cash + options.cash_flow,
        portfolio.holdings,
        portfolio.prices,
    )
    inside = {target.security_id for target in model.targets}
    choices = [
        _choice(row, options, market_value, outside=row.security_id not in inside)
        for row in rows_of(model, paid_in)
    ]
    size = 1
    for choice in choices:
        size *= len(choice.changes)
    if size > TOO_MANY:
        raise TooManyError
    objectives = (
        _objective(choices, changes, options, cash, market_value)
        for changes in product(*(choice.changes for choice in choices))
    )
    return min((value for value in objectives if value is not None), default=None)


def _choice(
    row: Row, options: RebalanceOptions, market_value: Fraction, *, outside: bool
) -> Choice:
    lot = Fraction(options.lots.get(row.security_id, 1))
    return Choice(row, lot, tuple(_changes(row, lot, options, market_value, outside)), outside)


def _changes(
    row: Row, lot: Fraction, options: RebalanceOptions, market_value: Fraction, outside: bool
) -> Iterator[int]:
    buy, sell = _allowed(row.security_id, options)
    held_lots = floor(row.held / lot)
    keeps = outside and not sell and row.held > 0
    least, most = _band(row, lot, outside)
    soft = options.soft_band_price is not None
    in_band = _in_band(row, row.held, lot, outside)
    few, many = -held_lots, max(ceil(max(market_value, 0) / row.price / lot) + 1, 1)
    for change in range(few, many + 1):
        banned = (change > 0 and not buy) or (change < 0 and not sell)
        if banned or row.held + change * lot < 0:
            continue
        if not soft and not (change == 0 if keeps else least <= change <= most):
            continue
        edge = least if least > 0 else most
        reachable = least <= most and (buy if edge > 0 else sell)
        if _in_scope(change, edge if reachable else None, in_band, options) and (
            change == 0 or _is_large_enough(row, lot, change, options)
        ):
            yield change


def _in_scope(change: int, edge: int | None, in_band: bool, options: RebalanceOptions) -> bool:
    if options.scope is Scope.ALL:
        return True
    if in_band:
        return change == 0
    return options.scope is not Scope.DRIFTED_TO_EDGE or edge is None or change == edge


def _allowed(security_id: str, options: RebalanceOptions) -> tuple[bool, bool]:
    frozen = security_id in options.frozen
    buy = options.direction is not Direction.SELL_ONLY and security_id not in options.do_not_buy
    sell = options.direction is not Direction.BUY_ONLY and security_id not in options.do_not_sell
    return buy and not frozen, sell and not frozen


def _band(row: Row, lot: Fraction, outside: bool) -> tuple[int, int]:
    """The least and the most change in lots that end inside the band and not short."""
    worth = row.price * lot
    least = max(ceil((row.low - row.held * row.price) / worth), ceil(-row.held / lot))
    most = floor((row.high - row.held * row.price) / worth)
    if outside and most < least and row.low == 0 == row.high:
        most = least
    return least, most


def _in_band(row: Row, shares: Fraction, lot: Fraction, outside: bool) -> bool:
    least, most = _band(row, lot, outside)
    return least <= 0 <= most


def _is_large_enough(row: Row, lot: Fraction, change: int, options: RebalanceOptions) -> bool:
    shares = abs(change) * lot
    enough_shares = shares >= Fraction(options.minimum_shares)
    return enough_shares and shares * row.price >= Fraction(options.minimum_value)


def _objective(
    choices: Sequence[Choice],
    changes: Sequence[int],
    options: RebalanceOptions,
    cash: Fraction,
    market_value: Fraction,
) -> Fraction | None:
    traded = [c.lot * k * c.row.price for c, k in zip(choices, changes, strict=True)]
    turnover = sum(map(abs, traded), Fraction(0))
    count = sum(change != 0 for change in changes)
    cost = Fraction(options.cost_rate) * turnover + Fraction(options.cost_per_trade) * count
    left = cash - sum(traded, Fraction(0)) - cost
    if left < _amount(options.cash_floor, market_value):
        return None
    if options.cash_ceiling is not None and left > _amount(options.cash_ceiling, market_value):
        return None
    if options.turnover_cap is not None and turnover > _amount(options.turnover_cap, market_value):
        return None
    if options.maximum_trades is not None and count > options.maximum_trades:
        return None
    worth = {
        c.row.security_id: (c.row.held + c.lot * k) * c.row.price
        for c, k in zip(choices, changes, strict=True)
    }
    for group in options.groups:
        value = sum((worth.get(one, Fraction(0)) for one in group.security_ids), Fraction(0))
        if not Fraction(group.low) * market_value <= value <= Fraction(group.high) * market_value:
            return None
    objective = cost if options.costs_in_objective else Fraction(0)
    for choice in choices:
        value = worth[choice.row.security_id]
        objective += abs(choice.row.target - value)
        objective += _penalty(choice, value, options)
    return objective


def _penalty(choice: Choice, value: Fraction, options: RebalanceOptions) -> Fraction:
    if options.soft_band_price is None:
        return Fraction(0)
    row = choice.row
    high = row.high
    if choice.outside:  # what cannot be sold is no violation
        _, sell = _allowed(row.security_id, options)
        rest = row.held - floor(row.held / choice.lot) * choice.lot
        kept = max(row.held, Fraction(0)) if not sell else Fraction(0)
        high = max(high, max(rest, kept) * row.price)
    outside = max(row.low - value, value - high, Fraction(0))
    return Fraction(options.soft_band_price) * outside


def _amount(value: object, market_value: Fraction) -> Fraction:
    if isinstance(value, Percent):
        return Fraction(value.value) * market_value / 100
    return Fraction(value)  # type: ignore[arg-type]
