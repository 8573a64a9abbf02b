"""Independent answers to check the engine against: exhaustive enumeration and scipy's MILP on |.|.

Written from the statement of the problem in fractions, sharing nothing with the engine but its
inputs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import product
from math import ceil, floor

import numpy as np
import scipy.optimize

from optimization.domain.model import Model
from optimization.domain.portfolio import Portfolio

OPTIMAL, INFEASIBLE = 0, 2  # scipy.optimize.milp


@dataclass(frozen=True)
class Row:
    """One security of the union of model and holdings, in exact fractions."""

    security_id: str
    price: Fraction
    target: Fraction  # currency
    low: Fraction
    high: Fraction
    held: Fraction

    @property
    def counts(self) -> range:
        """The changes k such that held + k shares are in the band and not short."""
        least = max(ceil(self.low / self.price - self.held), ceil(-self.held))
        most = floor(self.high / self.price - self.held)
        if self.target == self.high == 0 and most < least:  # below one share: cannot be sold
            most = least
        return range(least, most + 1)

    def drift(self, change: int) -> Fraction:
        return abs(self.target - (self.held + change) * self.price)


def rows_of(model: Model, portfolio: Portfolio, costs: Fraction | int = 0) -> list[Row]:
    """The securities at market value, or at what ``costs`` leave of it."""
    market_value = Fraction(portfolio.cash) + sum(
        Fraction(u) * Fraction(portfolio.prices[s]) for s, u in portfolio.holdings.items()
    )
    market_value -= costs
    targets = {t.security_id: t for t in model.targets}
    rows: list[Row] = []
    for security in {**targets, **portfolio.holdings}:
        target = targets.get(security)
        weight, low, high = (
            map(Fraction, (target.weight, target.band.low, target.band.high))
            if target
            else (Fraction(0), Fraction(0), Fraction(0))
        )
        rows.append(
            Row(
                security,
                Fraction(portfolio.prices[security]),
                market_value * weight,
                market_value * (weight - low),
                market_value * (weight + high),
                Fraction(portfolio.holdings.get(security, Decimal(0))),
            )
        )
    return rows


def limit_of(portfolio: Portfolio, cash_floor: Decimal = Decimal(0)) -> Fraction:
    return Fraction(portfolio.market_value) - Fraction(cash_floor)


def best_by_enumeration(rows: list[Row], limit: Fraction) -> Fraction | None:
    """The least drift over every combination of share counts; None if there is none."""
    best: Fraction | None = None
    for changes in _combinations(rows):
        spent = sum(
            ((r.held + k) * r.price for r, k in zip(rows, changes, strict=True)), Fraction(0)
        )
        if spent <= limit:
            drift = sum((r.drift(k) for r, k in zip(rows, changes, strict=True)), Fraction(0))
            best = drift if best is None else min(best, drift)
    return best


def _combinations(rows: list[Row]) -> Iterator[tuple[int, ...]]:
    return product(*(row.counts for row in rows))


def best_by_milp(rows: list[Row], limit: Fraction) -> float | None:
    """The least drift by scipy.optimize.milp with a variable above each |t - p u|."""
    n = len(rows)
    if any(len(row.counts) == 0 for row in rows):
        return None
    price = np.array([float(row.price) for row in rows])
    target = np.array([float(row.target) for row in rows])
    held = np.array([float(row.held) for row in rows])
    # Variables: k (whole), a (drift), a >= +-(t - p (u + k)).
    away = target - price * held
    rows_of_a = np.block([[np.diag(price), np.eye(n)], [-np.diag(price), np.eye(n)]])
    spend = np.concatenate((price, np.zeros(n)))[None, :]
    cash = float(limit - sum((r.held * r.price for r in rows), Fraction(0)))
    constraints = [
        scipy.optimize.LinearConstraint(rows_of_a, np.concatenate((away, -away)), np.inf),
        scipy.optimize.LinearConstraint(spend, -np.inf, cash),
    ]
    # SciPy's HiGHS ends some of these with a solve error, with or without its presolve: then the
    # other.
    for presolve in (True, False):
        answer = _milp(rows, constraints, presolve=presolve)
        if answer.status in {OPTIMAL, INFEASIBLE}:
            return None if answer.status == INFEASIBLE else float(answer.fun)
    raise AssertionError(answer.message)


def _milp(rows: list[Row], constraints: list[scipy.optimize.LinearConstraint], *, presolve: bool):
    n = len(rows)
    return scipy.optimize.milp(
        np.concatenate((np.zeros(n), np.ones(n))),
        integrality=np.concatenate((np.ones(n), np.zeros(n))),
        bounds=scipy.optimize.Bounds(
            np.concatenate(([r.counts[0] for r in rows], np.zeros(n))),
            np.concatenate(([r.counts[-1] for r in rows], np.full(n, np.inf))),
        ),
        constraints=constraints,
        options={"mip_rel_gap": 0.0, "time_limit": 20.0, "presolve": presolve},
    )
