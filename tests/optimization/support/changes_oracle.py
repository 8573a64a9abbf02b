"""Changes that the rules of single securities leave open to each, in fractions.

Written from the text of RebalanceOptions alone.
"""

from collections.abc import Iterator
from fractions import Fraction
from math import ceil, floor

from optimization.domain.option_values import Direction, Scope
from optimization.domain.options import RebalanceOptions
from tests.optimization.support.oracle import Row
from tests.optimization.support.trade_size_oracle import TradeSize


def kept_of(
    row: Row, lot: Fraction, options: RebalanceOptions, size: TradeSize, *, outside: bool
) -> Fraction | None:
    buy, sell = allowed(row.security_id, options)
    has_to_close = (row.held < 0 and buy) or (outside and row.held > 0 and sell)
    if not has_to_close or (outside and is_dust(row, lot, options)):
        return None
    moved = size.short_of_closing(row.held, lot, outside=outside)
    return None if moved is None else row.held + (moved if row.held < 0 else -moved)


def changes_of(
    row: Row,
    lot: Fraction,
    options: RebalanceOptions,
    market_value: Fraction,
    outside: bool,
    size: TradeSize,
    kept: Fraction | None,
) -> Iterator[Fraction]:
    found = _changes_of_any_size(row, lot, options, market_value, outside, size)
    if kept is None:
        yield from (change for change in found if size.admits(change * lot))
        return
    moved = (kept - row.held) / lot
    if options.soft_band_price is None or row.held < 0:
        yield moved
        return
    span = map(Fraction, _span(row, lot, options, market_value, outside))
    for change in (0,) if options.scope is not Scope.ALL and not moved else span:
        fits = size.admits(change * lot) and row.held + change * lot >= 0
        buy = allowed(row.security_id, options)[0] or change <= 0
        enough = change == 0 or _is_large_enough(row, lot, change, options)
        at_edge = options.scope is not Scope.DRIFTED_TO_EDGE or change == moved
        if fits and buy and enough and at_edge:
            yield Fraction(change)


def _changes_of_any_size(
    row: Row,
    lot: Fraction,
    options: RebalanceOptions,
    market_value: Fraction,
    outside: bool,
    size: TradeSize,
) -> Iterator[Fraction]:
    buy, sell = allowed(row.security_id, options)
    closing = _closing(row, lot, options) if outside else None
    if (row.held < 0 and not buy) or (outside and is_dust(row, lot, options)):
        yield Fraction(0)
        return
    hard_and_odd = closing is not None and options.soft_band_price is None
    least, most = (closing, closing) if hard_and_odd else _band(row, lot, outside)
    in_band = least <= 0 <= most
    edge = _far_enough(least, most, row, lot, options)
    reachable = least <= most and (buy if edge > 0 else sell)
    reachable &= size.admits(edge * lot) and (closing is not None or size.admits_any(lot))
    span = [Fraction(k) for k in _span(row, lot, options, market_value, outside)]
    if closing is not None and (row.held < 0 or sell):
        only = row.held < 0 or hard_and_odd or not _has_round_lots(row, lot, options)
        span = (
            [*({Fraction(0)} if only and row.held > 0 and not hard_and_odd else ())]
            if only
            else span
        )
        span.append(closing)
    for change in span:
        banned = (change > 0 and not buy) or (change < 0 and not sell)
        if banned or row.held + change * lot < 0:
            continue
        if _in_scope(change, edge if reachable else None, in_band, options) and (
            change == 0 or _is_large_enough(row, lot, change, options)
        ):
            yield change


def _far_enough(
    least: Fraction, most: Fraction, row: Row, lot: Fraction, options: RebalanceOptions
) -> Fraction:
    """The change to the edge, or as far inside the band as the least trade."""
    edge = least if least > 0 else most
    shares = max(Fraction(options.minimum_shares), Fraction(options.minimum_value) / row.price)
    trade = Fraction(ceil(shares / lot))
    farther = trade if edge > 0 else -trade
    return farther if abs(edge) < trade and least <= farther <= most else edge


def _closing(row: Row, lot: Fraction, options: RebalanceOptions) -> Fraction | None:
    """The change in lots that closes an odd position outside the model; None where lots do."""
    whole = Fraction(floor(row.held))
    if lot < 1 or (row.held < 0 and lot == 1) or (row.held > 0 and whole % lot == 0):
        return None
    return -whole / lot


def _has_round_lots(row: Row, lot: Fraction, options: RebalanceOptions) -> bool:
    lots = Fraction(floor(row.held / lot))
    return lots > 0 and _is_large_enough(row, lot, lots, options)


def is_dust(row: Row, lot: Fraction, options: RebalanceOptions) -> bool:
    part = min(lot, Fraction(1))
    tradable = floor(row.held / part) * part / lot
    return tradable != 0 and not _is_large_enough(row, lot, tradable, options)


def _span(
    row: Row, lot: Fraction, options: RebalanceOptions, market_value: Fraction, outside: bool
) -> range:
    """Changes that keep the band, or with soft bands all that can be of use."""
    _, sell = allowed(row.security_id, options)
    if options.soft_band_price is not None:
        fewest, value = -floor(row.held / lot), max(market_value, 0)
        if row.held < 0:
            return range(fewest, fewest + ceil(value / row.price / lot) + 2)
        most = ceil(value / row.price / lot) + 1
        return range(-floor(row.held / lot), max(most, 1) + 1)
    if outside and not sell and row.held > 0:
        return range(1)
    least, most = _band(row, lot, outside)
    return range(int(least), int(most) + 1)


def _in_scope(
    change: Fraction, edge: Fraction | None, in_band: bool, options: RebalanceOptions
) -> bool:
    if options.scope is Scope.ALL:
        return True
    if in_band:
        return change == 0
    return options.scope is not Scope.DRIFTED_TO_EDGE or edge is None or change == edge


def allowed(security_id: str, options: RebalanceOptions) -> tuple[bool, bool]:
    frozen = security_id in options.frozen
    buy = options.direction is not Direction.SELL_ONLY and security_id not in options.do_not_buy
    sell = options.direction is not Direction.BUY_ONLY and security_id not in options.do_not_sell
    return buy and not frozen, sell and not frozen


def _band(row: Row, lot: Fraction, outside: bool) -> tuple[Fraction, Fraction]:
    """The least and the most change in lots that end inside the band and not short."""
    worth = row.price * lot
    least = max(ceil((row.low - row.held * row.price) / worth), ceil(-row.held / lot))
    most = floor((row.high - row.held * row.price) / worth)
    if outside and most < least and row.low == 0 == row.high:
        most = least
    return Fraction(least), Fraction(most)


def _is_large_enough(row: Row, lot: Fraction, change: Fraction, options: RebalanceOptions) -> bool:
    shares = abs(change) * lot
    enough_shares = shares >= Fraction(options.minimum_shares)
    return enough_shares and shares * row.price >= Fraction(options.minimum_value)
