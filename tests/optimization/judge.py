"""Whether an answer breaks a rule, and what the best answer would have been; all from the inputs, in fractions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from math import lcm, prod

import numpy as np
import scipy.optimize

from optimization.options import RebalanceOptions
from optimization.result import Rebalance
from tests.optimization import options_oracle
from tests.optimization.generated import Problem
from tests.optimization.options_oracle import Choice, best_with_options
from tests.optimization.oracle import INFEASIBLE, OPTIMAL, Row, limit_of, rows_of

MOST_ENUMERATED = 5_000  # by options_oracle, in fractions
MOST_ON_A_GRID = 300_000  # in int64
INT64_SAFE = 1 << 61
STOPPED = 1  # by the time limit
TIME_LIMIT_S = 1.0  # for the other solver


class UndecidedError(Exception):
    """Too large to enumerate, or the other solver did not finish."""


@dataclass(frozen=True)
class Best:
    """The least objective, None without a plan; exact where every combination was tried."""

    objective: Fraction | None
    exact: bool


def violations(problem: Problem, answer: Rebalance) -> list[str]:
    """The rules that the plan breaks, among them that its objective is what it says."""
    options, portfolio = problem.options, problem.portfolio
    flow = Fraction(options.cash_flow)
    paid_in = replace(portfolio, cash=portfolio.cash + options.cash_flow)
    inside = {target.security_id for target in problem.model.targets}
    after = {d.security.security_id: Fraction(d.adjusted_quantity) for d in answer.drifts}
    small = problem.kind == "options"
    choices: list[Choice] = []
    changes: list[int] = []
    found: list[str] = []
    for row in rows_of(problem.model, paid_in):
        lot = Fraction(options.lots.get(row.security_id, 1))
        change = (after[row.security_id] - row.held) / lot
        if change.denominator != 1:
            found.append(f"{row.security_id} trades parts of a lot")
        if not _permitted(problem, row, int(change), inside, small=small):
            found.append(f"{row.security_id} may not change by {change} lots")
        choices.append(Choice(row, lot, (), row.security_id not in inside))
        changes.append(int(change))
    value = options_oracle._objective(  # the words of the options, for any plan
        choices, changes, options, Fraction(portfolio.cash) + flow, Fraction(paid_in.market_value)
    )
    if value is None:
        found.append("a limit is broken")
    elif answer.certificate is None or value != Fraction(answer.certificate.objective):
        found.append(f"the objective is {float(value)}")
    return found


def _permitted(problem: Problem, row: Row, change: int, inside: set[str], *, small: bool) -> bool:
    options = problem.options
    if small:
        value = Fraction(problem.portfolio.market_value) + Fraction(options.cash_flow)
        outside = row.security_id not in inside
        return change in options_oracle._choice(row, options, value, outside=outside).changes
    large_enough = options_oracle._is_large_enough(row, Fraction(1), change, options)
    return change in row.counts and (change == 0 or large_enough)


def best(problem: Problem) -> Best:
    """The independent answer; raises UndecidedError."""
    if problem.kind == "options":
        options_oracle.TOO_MANY = MOST_ENUMERATED
        try:
            return Best(best_with_options(problem.model, problem.portfolio, problem.options), True)
        except options_oracle.TooManyError as error:
            raise UndecidedError from error
    rows = rows_of(problem.model, problem.portfolio)
    if problem.kind == "large, options":
        return Best(_least_by_milp(rows, problem), exact=False)
    floor = options_oracle._amount(
        problem.options.cash_floor, Fraction(problem.portfolio.market_value)
    )
    limit = limit_of(problem.portfolio) - floor
    if prod(len(row.counts) for row in rows) <= MOST_ON_A_GRID:
        return Best(best_on_a_grid(rows, limit), exact=True)
    alone = [min(row.counts, key=row.drift, default=0) for row in rows] if _narrow(rows) else []
    spent = sum(((r.held + k) * r.price for r, k in zip(rows, alone, strict=False)), Fraction(0))
    if alone and spent <= limit:
        return Best(sum((r.drift(k) for r, k in zip(rows, alone, strict=True)), Fraction(0)), True)
    found = _least_under_cash(rows, limit)
    return Best(None if found is None else Fraction(found), exact=False)


def _narrow(rows: Sequence[Row]) -> bool:
    return all(0 < len(row.counts) <= 5_000 for row in rows)


def best_on_a_grid(rows: Sequence[Row], limit: Fraction) -> Fraction | None:
    """Every combination at once: outer sums of whole numbers."""
    if any(len(row.counts) == 0 for row in rows):
        return None
    drifts = [[row.drift(k) for k in row.counts] for row in rows]
    values = [[(row.held + k) * row.price for k in row.counts] for row in rows]
    numbers = [limit, *chain(*drifts, *values)]
    unit = lcm(*(number.denominator for number in numbers))
    largest = max(abs(number) for number in numbers) * unit * len(rows)
    dtype = np.int64 if largest < INT64_SAFE else np.object_
    drift, value = np.zeros(1, dtype), np.zeros(1, dtype)
    for of_drift, of_value in zip(drifts, values, strict=True):
        more = np.array([int(number * unit) for number in of_drift], dtype)
        drift = np.add.outer(drift, more).ravel()
        worth = np.array([int(number * unit) for number in of_value], dtype)
        value = np.add.outer(value, worth).ravel()
    kept = drift[(value <= int(limit * unit)).astype(bool)]
    return Fraction(int(kept.min()), unit) if len(kept) else None


def _least_under_cash(rows: Sequence[Row], limit: Fraction) -> float | None:
    """scipy.optimize.milp on |.| and the cash row, in shares above each holding."""
    n = len(rows)
    if any(len(row.counts) == 0 for row in rows):
        return None
    p, one = np.array([float(row.price) for row in rows]), np.eye(n)
    away = np.array([float(row.target - row.held * row.price) for row in rows])
    room = float(limit - sum((row.held * row.price for row in rows), Fraction(0)))
    constraints = [
        scipy.optimize.LinearConstraint(np.hstack((np.diag(p), one)), away, np.inf),
        scipy.optimize.LinearConstraint(np.hstack((-np.diag(p), one)), -away, np.inf),
        scipy.optimize.LinearConstraint(np.append(p, np.zeros(n))[None, :], -np.inf, room),
    ]
    least, most = ([row.counts[at] for row in rows] for at in (0, -1))
    bounds = scipy.optimize.Bounds([*least, *[0] * n], [*most, *[np.inf] * n])
    return _solved(np.repeat([0.0, 1], n), np.repeat([1, 0], n), bounds, constraints)


def _least_by_milp(rows: Sequence[Row], problem: Problem) -> Fraction | None:
    """scipy.optimize.milp with |.| and the coupling options; whole holdings, lots of one share."""
    options, n = problem.options, len(rows)
    if any(len(row.counts) == 0 for row in rows):
        return None
    p = np.array([float(row.price) for row in rows])
    away = np.array([float(row.target - row.held * row.price) for row in rows])
    least, most = (np.array([float(r.counts[at]) for r in rows]) for at in (0, -1))
    one, none = np.eye(n), np.zeros((n, n))
    smallest = np.array([_smallest(row, options) for row in rows])
    # Variables: bought, sold, whether bought, whether sold, drift.
    rows_of_n = [
        (np.hstack((np.diag(p), -np.diag(p), none, none, one)), away, np.inf),
        (np.hstack((-np.diag(p), np.diag(p), none, none, one)), -away, np.inf),
        (np.hstack((one, -one, none, none, none)), least, most),
        (np.hstack((one, none, -np.diag(np.maximum(most, 0)), none, none)), -np.inf, 0),
        (np.hstack((none, one, none, -np.diag(np.maximum(-least, 0)), none)), -np.inf, 0),
        (np.hstack((one, none, -np.diag(smallest), none, none)), 0, np.inf),
        (np.hstack((none, one, none, -np.diag(smallest), none)), 0, np.inf),
        (np.hstack((none, none, one, one, none)), -np.inf, 1),
    ]
    rate, fixed = float(options.cost_rate), np.full(2 * n, float(options.cost_per_trade))
    zero = np.zeros(n)
    cash = float(problem.portfolio.cash)
    count = np.concatenate((zero, zero, np.ones(2 * n), zero))
    turnover = np.concatenate((p, p, zero, zero, zero))
    worth = Fraction(problem.portfolio.market_value)
    cap = float(options_oracle._amount(options.turnover_cap, worth))
    spent = np.concatenate((p * (1 + rate), p * (rate - 1), fixed, zero))
    single = [(spent, cash), (turnover, cap), (count, options.maximum_trades)]
    for group in options.groups:
        inside = np.array([float(row.security_id in group.security_ids) for row in rows])
        held = float(
            sum(row.held * row.price for row in rows if row.security_id in group.security_ids)
        )
        member = np.concatenate((p * inside, -p * inside, zero, zero, zero))
        single.append((member, float(Fraction(group.high) * worth) - held))
    constraints = [scipy.optimize.LinearConstraint(a, low, high) for a, low, high in rows_of_n]
    constraints += [scipy.optimize.LinearConstraint(a[None, :], -np.inf, b) for a, b in single]
    bounds = scipy.optimize.Bounds(np.zeros(5 * n), np.repeat([np.inf, np.inf, 1, 1, np.inf], n))
    integrality = np.repeat([1, 1, 1, 1, 0], n)
    cost = np.repeat([0.0, 0, 0, 0, 1], n)
    found = _solved(cost, integrality, bounds, constraints)
    return None if found is None else Fraction(found)


def _smallest(row: Row, options: RebalanceOptions) -> int:
    by_value = -(-Fraction(options.minimum_value) // row.price)
    return max(1, int(by_value))


def _solved(
    cost: np.ndarray,
    integrality: np.ndarray,
    bounds: scipy.optimize.Bounds,
    constraints: list[scipy.optimize.LinearConstraint],
) -> float | None:
    for presolve in (True, False):
        answer = scipy.optimize.milp(
            cost,
            integrality=integrality,
            bounds=bounds,
            constraints=constraints,
            options={"mip_rel_gap": 0.0, "time_limit": TIME_LIMIT_S, "presolve": presolve},
        )
        if answer.status == OPTIMAL:
            return float(answer.fun)
        if answer.status == INFEASIBLE:
            return None
        if answer.status == STOPPED:
            break
    raise UndecidedError
