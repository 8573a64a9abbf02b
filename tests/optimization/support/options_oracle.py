"""Meaning of every change of every security under the options, and the best combination of changes.

Written from the text of RebalanceOptions in fractions and whole numbers; nothing of the engine is
used but its inputs. Each rule binds either one security alone, and limits its changes, or a sum
over securities.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from math import floor, lcm, prod

import numpy as np

from optimization.domain.model import Model
from optimization.domain.numbers import Percent
from optimization.domain.options import RebalanceOptions
from optimization.domain.portfolio import Portfolio
from tests.optimization.support.changes_oracle import allowed, changes_of, is_dust, kept_of
from tests.optimization.support.oracle import Row, rows_of
from tests.optimization.support.trade_size_oracle import trade_size

TOO_MANY = 30_000
INT64_SAFE = 1 << 61
NOTHING = Fraction(0)


class TooManyError(Exception):
    """Too many combinations to try."""


@dataclass(frozen=True)
class Choice:
    """A row and the changes in lots that are open to it on its own."""

    row: Row
    lot: Fraction
    changes: Sequence[Fraction]
    outside: bool  # not in the model
    kept: Fraction | None  # shares that the size of a trade leaves of what has to be closed


@dataclass(frozen=True, eq=False)
class Sum:
    """A sum over securities and its bounds: for each security what each of its changes adds."""

    name: str
    parts: tuple[np.ndarray, ...]
    low: int | None = None
    high: int | None = None

    def admits(self, total: np.ndarray | int) -> np.ndarray | bool:
        """True if totals are inside the bounds."""
        above = self.low is None or total >= self.low
        below = self.high is None or total <= self.high
        return above & below


@dataclass(frozen=True, eq=False)
class Stated:
    """The problem as whole numbers of 1 / ``unit``: pick one change of each security."""

    unit: int
    lots: Mapping[str, Fraction]  # shares in a lot, by security
    changes: tuple[Sequence[Fraction], ...]
    objective: Sum
    limits: tuple[Sum, ...]

    @property
    def combinations(self) -> int:
        """Number of combinations of changes."""
        return prod(len(changes) for changes in self.changes)

    def picked(self, places: Sequence[int]) -> tuple[Fraction, list[str]]:
        """The objective of one combination, and the limits it breaks."""
        at = [[int(p[i]) for p, i in zip(s.parts, places, strict=True)] for s in self.limits]
        broken = [
            s.name for s, parts in zip(self.limits, at, strict=True) if not s.admits(sum(parts))
        ]
        parts = (int(p[i]) for p, i in zip(self.objective.parts, places, strict=True))
        return Fraction(sum(parts), self.unit), broken

    def best(self) -> Fraction | None:
        """Least objective of all combinations, in currency; None if none keeps every limit."""
        if not all(map(len, self.changes)):
            return None
        objective, keeps = self.totals()
        kept = objective[keeps]
        return Fraction(int(kept.min()), self.unit) if len(kept) else None

    def totals(self) -> tuple[np.ndarray, np.ndarray]:
        """The objective of each combination, and whether it keeps every limit."""
        keeps = np.ones(self.combinations, dtype=bool)
        for limit in self.limits:
            keeps &= np.asarray(limit.admits(_totals(limit)), dtype=bool)
        return _totals(self.objective), keeps

    def total_of(self, name: str) -> np.ndarray:
        """Compute one of the sums for each combination."""
        return next(_totals(limit) for limit in self.limits if limit.name == name)


def _totals(of: Sum) -> np.ndarray:
    total = np.zeros(1, dtype=np.result_type(*of.parts)) if of.parts else np.zeros(1, dtype=int)
    for part in of.parts:
        total = np.add.outer(total, part).ravel()
    return total


def best_with_options(
    model: Model, portfolio: Portfolio, options: RebalanceOptions, costs: Fraction = NOTHING
) -> Fraction | None:
    """Least objective (currency) at the base after ``costs``; None if no plan keeps the limits."""
    problem = stated(model, portfolio, options, costs)
    if problem.combinations > TOO_MANY:
        raise TooManyError
    return problem.best()


def stated(
    model: Model, portfolio: Portfolio, options: RebalanceOptions, costs: Fraction = NOTHING
) -> Stated:
    """State one portfolio at the base after ``costs``; its plans pay their costs from cash."""
    portfolio = replace(portfolio, cash=portfolio.cash + options.cash_flow)
    money = Money(Fraction(portfolio.cash), Fraction(portfolio.market_value), costs)
    return _in_whole_numbers(choices_of(model, portfolio, options, money), options, money)


@dataclass(frozen=True)
class Money:
    """Money of a portfolio, and the base of its weights."""

    cash: Fraction
    market_value: Fraction
    costs: Fraction

    @property
    def base(self) -> Fraction:
        """Market value after costs."""
        return self.market_value - self.costs


def choices_of(
    model: Model, portfolio: Portfolio, options: RebalanceOptions, money: Money
) -> list[Choice]:
    """The changes of each security that keep what binds it alone."""
    inside = {target.security_id for target in model.targets}
    return [
        _choice(row, options, money, outside=row.security_id not in inside)
        for row in rows_of(model, portfolio, money.costs)
    ]


@dataclass(frozen=True)
class _Money:
    """Amounts of one security's changes, linear in the change."""

    held: Fraction
    lot: Fraction
    target: Fraction
    cost: Fraction  # of one lot traded
    soft: tuple[Fraction, ...]  # price of leaving the band times: held, lot, low, high

    @property
    def amounts(self) -> tuple[Fraction, ...]:
        return (self.held, self.lot, self.target, self.cost, *self.soft)


def _money(choice: Choice, options: RebalanceOptions) -> _Money:
    row = choice.row
    held, lot = row.held * row.price, choice.lot * row.price
    price = Fraction(options.soft_band_price or 0)
    edges = (held, lot, _soft_low(choice, options), _soft_high(choice, options))
    soft = tuple(price * amount for amount in edges)
    return _Money(held, lot, row.target, Fraction(options.cost_rate) * lot, soft)


def _in_whole_numbers(choices: Sequence[Choice], options: RebalanceOptions, has: Money) -> Stated:
    money = [_money(choice, options) for choice in choices]
    per_trade = Fraction(options.cost_per_trade)
    bounds = _bounds(options, has)
    limits = [limit for pair in bounds.values() for limit in pair if limit is not None]
    amounts = [per_trade, *limits, *_amounts_of_lots(choices, money)]
    unit = lcm(*(amount.denominator for amount in amounts))
    furthest = int(max((abs(k) for choice in choices for k in choice.changes), default=0)) + 1
    largest = max(abs(amount) for amount in amounts) * unit * (furthest + 1) * 8 * len(money)
    dtype = np.int64 if largest < INT64_SAFE else np.object_
    units = partial(_units, unit)
    parts: dict[str, list[np.ndarray]] = {name: [] for name in (*bounds, "objective")}
    for choice, values in zip(choices, money, strict=True):
        parts_of_lots = lcm(*(change.denominator for change in choice.changes), 1)
        k = np.array([int(change * parts_of_lots) for change in choice.changes], dtype=dtype)
        of_lot, of_cost = units(values.lot / parts_of_lots), units(values.cost / parts_of_lots)
        worth = units(values.held) + of_lot * k
        turnover, trades = of_lot * abs(k), (k != 0).astype(dtype)
        cost = of_cost * abs(k) + units(per_trade) * trades
        held, _, low, high = map(units, values.soft)
        lot = units(values.soft[1] / parts_of_lots)
        off = np.maximum(low - held - lot * k, held + lot * k - high)
        drift = abs(units(values.target) - worth) + np.maximum(off, 0)
        parts["objective"].append(drift + cost if options.costs_in_objective else drift)
        sums = {"cash": of_lot * k + cost, "invested": of_lot * k}
        sums |= {"turnover": turnover, "trades": trades * unit, "cost": cost}
        for name in bounds:
            group = next((g for g in options.groups if f"group {g.name}" == name), None)
            member = group is not None and choice.row.security_id in group.security_ids
            parts[name].append(sums.get(name, worth if member else 0 * worth))
    return Stated(
        unit,
        {choice.row.security_id: choice.lot for choice in choices},
        tuple(choice.changes for choice in choices),
        Sum("objective", tuple(parts["objective"])),
        tuple(
            Sum(name, tuple(parts[name]), *(None if end is None else units(end) for end in pair))
            for name, pair in bounds.items()
        ),
    )


def _units(unit: int, amount: Fraction) -> int:
    return int(amount * unit)


def _amounts_of_lots(choices: Sequence[Choice], money: Sequence[_Money]) -> Iterator[Fraction]:
    for choice, values in zip(choices, money, strict=True):
        parts_of_lots = lcm(*(change.denominator for change in choice.changes), 1)
        yield from (amount / parts_of_lots for amount in values.amounts)


def _bounds(
    options: RebalanceOptions, has: Money
) -> Mapping[str, tuple[Fraction | None, Fraction | None]]:
    """Bounds of every sum over securities: cash spent, turnover, trades, group values."""
    ceiling, cap, most = options.cash_ceiling, options.turnover_cap, options.maximum_trades
    value, cash = has.base, has.cash
    bounds: dict[str, tuple[Fraction | None, Fraction | None]] = {
        "cash": (None, cash - _amount(options.cash_floor, value)),
        "cost": (None, None),
    }
    if ceiling is not None:
        bounds["invested"] = (cash - has.costs - _amount(ceiling, value), None)
    if cap is not None:
        bounds["turnover"] = (None, _amount(cap, has.market_value))
    if most is not None:
        bounds["trades"] = (None, Fraction(most))
    for group in options.groups:
        bounds[f"group {group.name}"] = (Fraction(group.low) * value, Fraction(group.high) * value)
    return bounds


def _choice(row: Row, options: RebalanceOptions, money: Money, *, outside: bool) -> Choice:
    lot = Fraction(options.lots.get(row.security_id, 1))
    size = trade_size(options, row.security_id, row.price, money.market_value)
    kept = kept_of(row, lot, options, size, outside=outside)
    changes = tuple(changes_of(row, lot, options, money.base, outside, size, kept))
    return Choice(row, lot, changes, outside, kept)


def _soft_low(choice: Choice, options: RebalanceOptions) -> Fraction:
    """Lower edge of a soft band; a short position that may not be bought back violates nothing."""
    row = choice.row
    buy, _ = allowed(row.security_id, options)
    if row.held < 0 and choice.kept is not None:
        return min(row.low, choice.kept * row.price)
    if row.held >= 0 or (buy and not (choice.outside and is_dust(row, choice.lot, options))):
        return row.low
    return min(row.low, row.held * row.price)


def _soft_high(choice: Choice, options: RebalanceOptions) -> Fraction:
    """Upper edge of a soft band; an unsellable rest outside the model violates nothing."""
    row = choice.row
    if not choice.outside:
        return row.high
    _, sell = allowed(row.security_id, options)
    part = min(choice.lot, Fraction(1))
    rest = row.held - floor(row.held / part) * part
    is_kept = not sell or is_dust(row, choice.lot, options)
    kept = max(row.held, Fraction(0)) if is_kept else choice.kept or Fraction(0)
    return max(row.high, max(rest, kept) * row.price)


def _amount(value: object, market_value: Fraction) -> Fraction:
    if isinstance(value, Percent):
        return Fraction(value.value) * market_value / 100
    return Fraction(value)  # type: ignore[arg-type]
