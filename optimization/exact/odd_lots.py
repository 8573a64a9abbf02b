"""Odd lots: the part of a holding outside the model beyond its round lots, as columns of a block.

The target of such a holding is 0, so its odd remainder may be sold, but only whole and together
with all round lots. Only a fraction of a share is kept. A holding below one round lot, or whose
round lots are smaller than the minimum trade, is a single lot: it is sold whole or not at all. A
short position is bought back to the last whole share.
"""

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from optimization.domain.numbers import EXACT, to_currency
from optimization.domain.options import RebalanceOptions
from optimization.domain.portfolio import Portfolio, PricedTarget

ZERO, ONE = Decimal(0), Decimal(1)


@dataclass(frozen=True, slots=True)
class Columns:
    """Securities, their lots and holdings; odd remainders come last."""

    securities: tuple[PricedTarget, ...]
    lots: tuple[Decimal, ...]
    holdings: tuple[Decimal, ...]
    odd_lots: tuple[tuple[int, int], ...]  # (column of round lots, column of their odd remainder)


def lay_out_columns(
    model: tuple[PricedTarget, ...],
    others: tuple[PricedTarget, ...],
    portfolio: Portfolio,
    options: RebalanceOptions,
) -> Columns:
    """Lay out the columns of one portfolio: its model, other holdings, and their odd remainders."""
    securities = [*model, *others]
    lots = [options.lots.get(security.security_id, ONE) for security in securities]
    holdings = [portfolio.holdings.get(security.security_id, ZERO) for security in securities]
    odd_lots: list[tuple[int, int]] = []
    for column in range(len(model), len(model) + len(others)):
        security, whole = securities[column], holdings[column].to_integral_value(ROUND_FLOOR)
        if whole < 0 and lots[column] > 1:
            lots[column] = whole.copy_negate()
            continue
        odd = _odd_remainder(holdings[column], lots[column])
        if odd <= 0:
            continue
        round_lots = EXACT.subtract(whole, odd)
        worth = EXACT.multiply(round_lots, security.price)
        least = to_currency(options.minimum_value, portfolio.market_value)
        if round_lots >= max(options.minimum_shares, ONE) and worth >= least:
            odd_lots.append((column, len(securities)))
            holdings[column] = EXACT.subtract(holdings[column], odd)
            securities, lots, holdings = [*securities, security], [*lots, odd], [*holdings, odd]
        else:
            lots[column] = whole
    return Columns(tuple(securities), tuple(lots), tuple(holdings), tuple(odd_lots))


def _odd_remainder(shares: Decimal, lot: Decimal) -> Decimal:
    """Whole shares beyond the last round lot; 0 for a short position or a fractional lot."""
    if shares <= 0 or lot < 1:
        return ZERO
    beyond = EXACT.subtract(shares, EXACT.multiply(EXACT.divide_int(shares, lot), lot))
    return beyond.to_integral_value(ROUND_FLOOR)
