"""Consistent plans of a small problem under costs, found by trying every base and every plan.

A plan is consistent if it is the optimum at the base that its costs leave. For each amount that a
plan could cost, the problem at that base is enumerated; the plan is consistent if one of its
optima costs exactly that amount.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor, prod

import numpy as np

from optimization.domain.model import Model
from optimization.domain.options import RebalanceOptions
from optimization.domain.portfolio import Portfolio
from tests.optimization.support.options_oracle import Money, Stated, choices_of, stated

MAX_PLANS = 600


class TooManyPlansError(Exception):
    """Too many plans to try each at the base of each other."""


@dataclass(frozen=True)
class Right:
    """A base, and the objective of the plan that is the optimum there and leaves it."""

    costs: Fraction
    objective: Fraction


def right_plans(model: Model, portfolio: Portfolio, options: RebalanceOptions) -> Iterator[Right]:
    """Yield all fixed points, in the order of their costs."""
    for costs in sorted(_possible_costs(model, portfolio, options)):
        problem = stated(model, portfolio, options, costs)
        best = problem.best()
        if best is not None and best in _objectives_that_cost(problem, costs):
            yield Right(costs, best)


def _objectives_that_cost(problem: Stated, costs: Fraction) -> set[Fraction]:
    objective, keeps = problem.totals()
    same = problem.total_of("cost") == costs * problem.unit
    return {Fraction(int(units), problem.unit) for units in objective[keeps & same]}


def _possible_costs(model: Model, portfolio: Portfolio, options: RebalanceOptions) -> set[Fraction]:
    """Costs of the plans that keep each band at some base from half of market value up."""
    portfolio = replace(portfolio, cash=portfolio.cash + options.cash_flow)
    cash, value = Fraction(portfolio.cash), Fraction(portfolio.market_value)
    money = [Money(cash, value, costs) for costs in (Fraction(0), value / 2)]
    rate, fee = Fraction(options.cost_rate), Fraction(options.cost_per_trade)
    amounts: list[list[Fraction]] = []
    for pair in zip(*(choices_of(model, portfolio, options, base) for base in money), strict=True):
        changes = {change for choice in pair for change in choice.changes} | {0}
        span = {*range(floor(min(changes)), ceil(max(changes)) + 1), *changes}
        lot = pair[0].lot * pair[0].row.price
        amounts.append([rate * lot * abs(change) + fee * (change != 0) for change in span])
    if prod(map(len, amounts)) > MAX_PLANS:
        raise TooManyPlansError
    total = np.zeros(1, dtype=object)
    for changes in amounts:
        total = np.add.outer(total, np.array(changes, dtype=object)).ravel()
    return set(total.tolist())
