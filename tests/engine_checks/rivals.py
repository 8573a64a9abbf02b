"""Rivals of the engine: its problems, as a textbook or another library states them.

Money is in currency, floats throughout. Each rival gets one thread and the engine's gap of a cent.
"""

from dataclasses import dataclass

import cvxpy as cp
import highspy
import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from optimization.milp.data import CashMilpData
from optimization.milp.formulations import choose_gap
from optimization.milp.parametric import OBJECTIVE_SCALE

Floats = NDArray[np.float64]

GAP = 0.01
QUIET = {
    "output_flag": False,
    "threads": 1,
    "random_seed": 1,
    "mip_rel_gap": 0.0,
    "mip_abs_gap": GAP,
    "mip_feasibility_tolerance": 1e-9,
    "primal_feasibility_tolerance": 1e-9,
    "mip_heuristic_run_feasibility_jump": False,
    "mip_heuristic_run_zi_round": True,
    "mip_detect_symmetry": False,
}


@dataclass(frozen=True)
class Textbook:
    """One portfolio as the requirement states it: |t - p u| over whole shares in [low, high]."""

    price: Floats
    target: Floats  # currency
    low: Floats  # shares
    high: Floats  # shares
    held: Floats  # shares
    limit: float  # currency: the most that all positions may be worth


@dataclass(frozen=True)
class TextbookTerms:
    """Coupling options in the terms of a textbook, in currency."""

    rate: float
    per_trade: float
    least_trade: Floats  # shares
    trades: int
    turnover: float
    groups: Floats  # shape (groups, n), 1 where the security is in the group
    group_high: Floats  # currency


def raw_highs() -> highspy.Highs:
    """HiGHS without any modelling layer."""
    highs = highspy.Highs()
    for name, value in QUIET.items():
        highs.setOptionValue(name, value)
    return highs


def hull_by_highspy(highs: highspy.Highs, problem: CashMilpData, time_limit_s: float) -> float:
    """Convex hull with the cash row, passed to HiGHS directly: the limit of any modelling layer."""
    p, n = problem.lot_value, len(problem.lot_value)
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = 3 * n, 1
    lp.col_cost_ = np.concatenate((problem.cost_across, p, p)) * OBJECTIVE_SCALE
    lp.col_lower_ = np.zeros(3 * n)
    lp.col_upper_ = np.concatenate((problem.can_cross, problem.max_down, problem.max_up))
    lp.row_lower_, lp.row_upper_ = np.array([-highspy.kHighsInf]), np.array([problem.limit])
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = np.arange(3 * n + 1, dtype=np.int32)
    lp.a_matrix_.index_ = np.zeros(3 * n, dtype=np.int32)
    lp.a_matrix_.value_ = np.concatenate((p, -p, p))
    lp.integrality_ = [highspy.HighsVarType.kInteger] * (3 * n)
    highs.passModel(lp)
    highs.setOptionValue("time_limit", time_limit_s)
    highs.setOptionValue("mip_abs_gap", choose_gap(problem.granularity) * OBJECTIVE_SCALE)
    highs.run()
    np.array(highs.getSolution().col_value)
    return float(highs.getInfo().objective_function_value)


def hull_by_arrays(highs: highspy.Highs, problem: CashMilpData, time_limit_s: float) -> float:
    """Solve the hull through highspy's arrays, its fastest interface."""
    p, n = problem.lot_value, len(problem.lot_value)
    form, sense = int(highspy.MatrixFormat.kColwise), int(highspy.ObjSense.kMinimize)
    cost = np.concatenate((problem.cost_across, p, p)) * OBJECTIVE_SCALE
    most = np.concatenate((problem.can_cross, problem.max_down, problem.max_up))
    rows = np.array([-highspy.kHighsInf]), np.array([problem.limit])
    starts, indices = np.arange(3 * n + 1, dtype=np.int32), np.zeros(3 * n, dtype=np.int32)
    matrix = starts, indices, np.concatenate((p, -p, p))
    kinds = np.ones(3 * n, dtype=np.int32)
    sizes = (3 * n, 1, 3 * n, form, sense, 0.0)
    highs.passModel(*sizes, cost, np.zeros(3 * n), most, *rows, *matrix, kinds)
    highs.setOptionValue("time_limit", time_limit_s)
    highs.setOptionValue("mip_abs_gap", choose_gap(problem.granularity) * OBJECTIVE_SCALE)
    highs.run()
    np.array(highs.getSolution().col_value)
    return float(highs.getInfoValue("objective_function_value")[1])


def textbook_by_cvxpy(
    book: Textbook, time_limit_s: float, coupled: TextbookTerms | None = None
) -> float | None:
    """A CVXPY problem with cp.abs, built for this portfolio alone."""
    u = cp.Variable(len(book.price), integer=True)
    value = cp.multiply(book.price, u)
    rows = [u >= book.low, u <= book.high]
    spent = cp.sum(value)
    if coupled is not None:
        more, spending = _coupling_rows(book, coupled, u)
        rows, spent = rows + more, spent + spending
    rows.append(spent <= book.limit)
    problem = cp.Problem(cp.Minimize(cp.sum(cp.abs(book.target - value))), rows)
    options = {name: value for name, value in QUIET.items() if name != "output_flag"}
    problem.solve(solver=cp.HIGHS, time_limit=time_limit_s, **options)
    return None if problem.value is None else float(problem.value)


def _coupling_rows(
    book: Textbook, coupled: TextbookTerms, u: cp.Variable
) -> tuple[list[cp.Constraint], cp.Expression]:
    n = len(book.price)
    buy, sell = cp.Variable(n, integer=True), cp.Variable(n, integer=True)
    buys, sells = cp.Variable(n, boolean=True), cp.Variable(n, boolean=True)
    max_buy = np.maximum(book.high - book.held, 0)
    max_sell = np.maximum(book.held - book.low, 0)
    turnover, count = book.price @ (buy + sell), cp.sum(buys + sells)
    rows = [
        u == book.held + buy - sell,
        buy <= cp.multiply(max_buy, buys),
        buy >= cp.multiply(coupled.least_trade, buys),
        sell <= cp.multiply(max_sell, sells),
        sell >= cp.multiply(coupled.least_trade, sells),
        buys + sells <= 1,
        turnover <= coupled.turnover,
        count <= coupled.trades,
        coupled.groups @ cp.multiply(book.price, u) <= coupled.group_high,
    ]
    return rows, coupled.rate * turnover + coupled.per_trade * count


def textbook_by_scipy(book: Textbook, time_limit_s: float) -> float | None:
    """scipy.optimize.milp with a variable above each |t - p u|."""
    n, p = len(book.price), np.diag(book.price)
    ones = np.eye(n)
    above = np.block([[p, ones], [-p, ones]])
    spent = np.concatenate((book.price, np.zeros(n)))[None, :]
    answer = scipy.optimize.milp(
        np.concatenate((np.zeros(n), np.ones(n))),
        integrality=np.concatenate((np.ones(n), np.zeros(n))),
        bounds=scipy.optimize.Bounds(
            np.concatenate((book.low, np.zeros(n))), np.concatenate((book.high, np.full(n, np.inf)))
        ),
        constraints=[
            scipy.optimize.LinearConstraint(above, np.concatenate((book.target, -book.target))),
            scipy.optimize.LinearConstraint(spent, ub=book.limit),
        ],
        options={"mip_rel_gap": 0.0, "time_limit": time_limit_s},
    )
    return None if answer.fun is None else float(answer.fun)
