"""Oracle of yielding bands: tries all plans of two or three securities.

In fractions, from the text of RebalanceOptions and of docs/explanation/engine.md alone; nothing of
the engine is used but its inputs. A plan is a number of shares of each security. The shares that a
single security may have are listed first; all combinations are checked against the limits that
couple them, and ranked by violation and by drift.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import ceil, floor, prod

from optimization.domain.model import Model
from optimization.domain.numbers import Percent
from optimization.domain.option_values import BandRule, Direction, Scope
from optimization.domain.options import RebalanceOptions
from optimization.domain.portfolio import Portfolio
from tests.optimization.support.trade_size_oracle import trade_size

ZERO = Fraction(0)
MAX_PLANS = 12_000


class TooManyPlansError(Exception):
    """Too many plans to try."""


@dataclass(frozen=True)
class Line:
    """One security with its price, target and holding."""

    security_id: str
    price: Fraction
    held: Fraction
    lot: Fraction
    low: Fraction  # least and greatest value inside the band
    high: Fraction
    target: Fraction
    outside: bool  # of the model

    def violation(self, shares: Fraction) -> Fraction:
        """Violation of a position; an unsellable rest outside the model violates nothing."""
        value = shares * self.price
        high = self.unsellable * self.price if self.outside else self.high
        return max(self.low - value, value - high, ZERO)

    @property
    def unsellable(self) -> Fraction:
        """Unsellable shares outside the model: below a lot, or below a share if lots are whole."""
        if not self.outside:
            return ZERO
        least = min(self.lot, Fraction(1))
        return self.held - floor(self.held / least) * least


@dataclass(frozen=True)
class Best:
    """The best (violation, objective) of all plans; None where no plan keeps every limit."""

    violation: Fraction
    objective: Fraction


def answer(model: Model, portfolio: Portfolio, options: RebalanceOptions) -> Best | None:
    """The answer the engine must find; None if it must refuse."""
    hard = best(model, portfolio, options, yields=False)
    if hard is not None or options.bands is BandRule.HARD:
        return hard
    if options.bands is None:
        if not options.restrictions:
            return None
        if best(model, portfolio, options.lift(options.restrictions), yields=False) is None:
            return None
    if portfolio.market_value < 0:
        return None
    return best(model, portfolio, options, yields=True)


def best(
    model: Model, portfolio: Portfolio, options: RebalanceOptions, *, yields: bool
) -> Best | None:
    """Best of all plans that keep every restriction, every limit, and every hard band."""
    value, lines = Fraction(portfolio.market_value), list(lines_of(model, portfolio, options))
    ways = [list(_ways(line, options, value, yields=yields)) for line in lines]
    if prod(map(len, ways)) > MAX_PLANS:
        raise TooManyPlansError
    found: Best | None = None
    for plan in product(*ways):
        if not _keeps(lines, plan, options, value):
            continue
        outside = sum((line.violation(z) for line, z in zip(lines, plan, strict=True)), ZERO)
        drift = sum(
            (abs(line.target - z * line.price) for line, z in zip(lines, plan, strict=True)), ZERO
        )
        if found is None or (outside, drift) < (found.violation, found.objective):
            found = Best(outside, drift)
    return found


def lines_of(model: Model, portfolio: Portfolio, options: RebalanceOptions) -> Iterator[Line]:
    """The model's securities, then the other holdings."""
    value = Fraction(portfolio.market_value)
    targets = {target.security_id: target for target in model.targets}
    for security in [*targets, *sorted(portfolio.holdings.keys() - targets.keys())]:
        target = targets.get(security)
        weight = Fraction(target.weight) if target else ZERO
        low, high = (target.band.low, target.band.high) if target else (0, 0)
        yield Line(
            security,
            Fraction(portfolio.prices[security]),
            Fraction(portfolio.holdings.get(security, 0)),
            Fraction(options.lots.get(security, 1)),
            max(value * (weight - Fraction(low)), ZERO),
            value * (weight + Fraction(high)),
            value * weight,
            target is None,
        )


def _ways(
    line: Line, options: RebalanceOptions, value: Fraction, *, yields: bool
) -> Iterator[Fraction]:
    """The shares that a security may end with."""
    buy, sell = _allowed(line.security_id, options)
    if line.held < 0 and not buy:
        yield line.held
        return
    if line.outside and _is_dust(line, options):
        yield line.held
        return
    kept = line.outside and not sell and line.held > 0
    size = trade_size(options, line.security_id, line.price, value)
    reachable = [z for z in _reachable(line, options, value) if _is_admitted(line, z, options)]
    candidates = [z for z in reachable if size.admits(z - line.held)]
    inside = [z for z in candidates if line.violation(z) == 0 or (kept and z == line.held)]
    moved = None
    if line.held < 0 or (line.outside and sell):
        moved = size.short_of_closing(line.held, line.lot, outside=line.outside)
    if moved is not None and line.held < 0:
        yield line.held + moved
        return
    if moved is not None:
        inside = [line.held - moved]
    if options.scope is not Scope.ALL:
        yield from _in_scope(line, options, candidates, inside, yields=yields)
    else:
        yield from candidates if yields else inside


def _in_scope(
    line: Line,
    options: RebalanceOptions,
    candidates: Sequence[Fraction],
    inside: Sequence[Fraction],
    *,
    yields: bool,
) -> Iterator[Fraction]:
    if line.held in inside:
        yield line.held
    elif options.scope is Scope.DRIFTED_TO_TARGET:
        yield from candidates if yields else inside
    elif yields:
        yield from (z for z in candidates if _is_before_edge(line, z, options))
    elif inside:
        yield min(inside, key=lambda z: abs(z - line.held))


def _is_before_edge(line: Line, shares: Fraction, options: RebalanceOptions) -> bool:
    """True if a trade stops once it reaches the band, or the place of an empty band.

    Unless the least trade is farther.
    """
    lot, worth = line.lot, line.lot * line.price
    trade = max(Fraction(options.minimum_shares), Fraction(options.minimum_value) / line.price)
    least = ceil(trade / lot)
    if line.held * line.price < line.low:
        lots = ceil((line.low - line.held * line.price) / worth)
        return line.held <= shares <= line.held + max(lots, least) * lot
    high = max(line.high, line.unsellable * line.price)
    lots = ceil((line.held * line.price - high) / worth)
    return line.held - max(lots, least) * lot <= shares <= line.held


def _reachable(line: Line, options: RebalanceOptions, value: Fraction) -> Iterator[Fraction]:
    """All useful, non-negative shares on a lot's grid, and the odd remainder sold."""
    worth = line.lot * line.price
    least = max(Fraction(options.minimum_shares), Fraction(options.minimum_value) / line.price)
    top = max(line.high, line.target, line.held * line.price, value) + worth + least * line.price
    fewest = -floor(line.held / line.lot)
    most = ceil((top - line.held * line.price) / worth) + 1
    if not (line.outside and line.held < 0 and line.lot > 1):  # that is closed, and no more
        for lots in range(fewest, most + 1):
            yield line.held + lots * line.lot
    whole = Fraction(floor(line.held))
    if line.outside and line.lot >= 1 and (line.held < 0 or whole % line.lot):
        yield line.held - whole


def _is_admitted(line: Line, shares: Fraction, options: RebalanceOptions) -> bool:
    """Direction, named securities and the least trade."""
    buy, sell = _allowed(line.security_id, options)
    change = shares - line.held
    if (change > 0 and not buy) or (change < 0 and not sell):
        return False
    enough = abs(change) >= Fraction(options.minimum_shares)
    return change == 0 or (enough and abs(change) * line.price >= Fraction(options.minimum_value))


def _is_dust(line: Line, options: RebalanceOptions) -> bool:
    """True if all that could be traded of a holding is less than the least trade."""
    least = min(line.lot, Fraction(1))
    shares = floor(line.held / least) * least
    small = abs(shares) < Fraction(options.minimum_shares)
    return shares != 0 and (small or abs(shares) * line.price < Fraction(options.minimum_value))


def _allowed(security_id: str, options: RebalanceOptions) -> tuple[bool, bool]:
    frozen = security_id in options.frozen
    buy = options.direction is not Direction.SELL_ONLY and security_id not in options.do_not_buy
    sell = options.direction is not Direction.BUY_ONLY and security_id not in options.do_not_sell
    return buy and not frozen, sell and not frozen


def _keeps(
    lines: Sequence[Line], plan: Sequence[Fraction], options: RebalanceOptions, value: Fraction
) -> bool:
    """Cash, turnover, number of trades, groups."""
    rows = list(zip(lines, plan, strict=True))
    cash = value - sum((z * line.price for line, z in rows), ZERO)
    turnover = sum((abs(z - line.held) * line.price for line, z in rows), ZERO)
    trades = sum(z != line.held for line, z in rows)
    ceiling, cap, most = options.cash_ceiling, options.turnover_cap, options.maximum_trades
    if cash < _amount(options.cash_floor, value):
        return False
    if ceiling is not None and cash > _amount(ceiling, value):
        return False
    if cap is not None and turnover > _amount(cap, value):
        return False
    if most is not None and trades > most:
        return False
    for group in options.groups:
        worth = sum(
            (z * line.price for line, z in rows if line.security_id in group.security_ids), ZERO
        )
        if not Fraction(group.low) * value <= worth <= Fraction(group.high) * value:
            return False
    return True


def _amount(amount: object, value: Fraction) -> Fraction:
    if isinstance(amount, Percent):
        return Fraction(amount.value) * value / 100
    return Fraction(amount)  # type: ignore[arg-type]
