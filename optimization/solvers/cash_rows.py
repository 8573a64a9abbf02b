"""Cash rows of a block: portfolios whose only binding row is the cash row, solved in arrays.

Each row has a knapsack cover of its own (knapsack_cover.py). The steps down, the drift of the plans
and their verification are computed in arrays, for all rows at once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimization.domain.certificate import CASH_FLOOR, Binding, Certificate, Method, Proof
from optimization.errors import SolverInterruptedError
from optimization.exact.block import Bands, Block, lot_limits
from optimization.exact.scaled_integers import Integers, parts_to_decimal, to_decimal
from optimization.exact.verification import violated_constraints
from optimization.solvers.cash_constrained import Plan
from optimization.solvers.knapsack_cover import cover, list_steps
from optimization.solvers.separable import Separable, compute_drift
from optimization.time_budget import TimeBudget


@dataclass(frozen=True, slots=True, eq=False)
class CashCovers:
    """Optima of K portfolios of a block whose only binding row is the cash row."""

    rows: NDArray[np.intp]  # (K,) row in the block, ascending
    lots: Integers  # (K, n)
    drifts: Integers  # (K,) units / denominator
    slack: Integers  # (K,) units: cash above the cash floor


def solve_cash_rows(
    block: Block, bands: Bands, separable: Separable, budget: TimeBudget
) -> dict[int, Plan]:
    """Find the plans of the portfolios that ``find_covers`` answers, by row of the block."""
    covers, plans = find_covers(block, bands, separable, budget), dict[int, Plan]()
    slacks, drifts = covers.slack.tolist(), covers.drifts.tolist()
    for at, row in enumerate(covers.rows.tolist()):
        objective = parts_to_decimal(drifts[at], block.denominator, block.decimals)
        binding = Binding(CASH_FLOOR, to_decimal(slacks[at], block.decimals))
        certificate = Certificate(Proof.OPTIMAL, Method.COVER, objective, objective, (binding,))
        plans[row] = Plan(covers.lots[at], certificate)
    return plans


def find_covers(block: Block, bands: Bands, separable: Separable, budget: TimeBudget) -> CashCovers:
    """Find the optimum of each portfolio whose only binding row is the cash row.

    The plans equal those of ``solve_at_base`` without options besides the cash floor. A row is left
    to a search if it has no plan, if its cover grows too large, if no trade at all is as good as
    the cover, or if the plan fails verification.

    Raises SolverInterruptedError if the budget is interrupted.
    """
    rows = np.flatnonzero(separable.admits & (separable.invested > block.investable))
    if not len(rows):
        empty = np.zeros(0, dtype=np.int64)
        return CashCovers(rows, separable.lots[rows], empty, empty)
    tight, tight_bands = block.select_rows(rows.tolist()), bands.select_rows(rows.tolist())
    lots, is_found = _cover_rows(tight, tight_bands, separable.lots[rows], budget)
    drifts = compute_drift(tight, tight_bands, lots)
    chosen = is_found & _is_best(tight, tight_bands, lots, drifts)
    slack = tight.investable - (lots * tight.lot_value + tight.remainder).sum(axis=1)
    return CashCovers(rows[chosen], lots[chosen], drifts[chosen], slack[chosen])


def _is_best(block: Block, bands: Bands, lots: Integers, drifts: Integers) -> NDArray[np.bool_]:
    """Whether each plan is verified and no trade at all is worse, forbidden, or the plan itself."""
    before = block.before
    is_worse = compute_drift(block, bands, before) > drifts
    is_forbidden = np.any(violated_constraints(block, before), axis=1)
    is_plan = np.all(lots == before, axis=1)
    is_verified = ~np.any(violated_constraints(block, lots), axis=1)
    return is_verified & (is_worse | is_forbidden | is_plan)


def _cover_rows(
    block: Block, bands: Bands, lots: Integers, budget: TimeBudget
) -> tuple[Integers, NDArray[np.bool_]]:
    """Step down from the separable optima by the cheapest covers, and say which were found."""
    fewest = lot_limits(block, bands)[0]
    invested = (lots * block.lot_value + block.remainder).sum(axis=1)
    shortfalls = (invested - block.investable).tolist()
    steps = list_steps(block, bands, lots, fewest)
    given_up, is_found = np.zeros_like(lots), np.zeros(len(lots), dtype=bool)
    for row, (of_row, shortfall) in enumerate(zip(steps, shortfalls, strict=True)):
        if budget.is_interrupted:
            raise SolverInterruptedError
        counts = cover(of_row, shortfall) if of_row.max_cash >= shortfall else None
        if counts is not None:
            given_up[row], is_found[row] = counts, True
    return lots - given_up, is_found
