"""Cash-constrained problem: one portfolio whose cash row binds, solved by cover or by MILP."""

from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from importlib.metadata import version

import numpy as np

from optimization.domain.certificate import CASH_FLOOR, Binding, Certificate, Method, Proof
from optimization.errors import CertificationError, NoSolutionInTimeError
from optimization.exact.block import Bands, Block, lot_limits
from optimization.exact.fine_lots import lots_per_step
from optimization.exact.scaled_integers import (
    Integers,
    compute_granularity,
    fraction_to_decimal,
    just_above,
    round_counts,
    to_decimal,
)
from optimization.exact.verification import violated_constraints
from optimization.milp import programs
from optimization.milp.data import (
    MIN_GRANULARITY,
    CashMilpData,
    Chosen,
    FineLots,
    SolverAnswer,
)
from optimization.solvers.knapsack_cover import cover, list_steps
from optimization.solvers.separable import compute_drift
from optimization.time_budget import TimeBudget

MAX_TIGHTENINGS = 3
FEASIBILITY_MARGIN = Fraction(1, 1_000_000)  # currency
DIGIT = Fraction(1, 10_000)  # last digit of a bound
FLOAT_NOISE = Fraction(1, 10_000_000)  # error of a float bound
SOLVER = f"HiGHS {version('highspy')}"


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Lots after the plan, shape (n,), with certificate and trading costs (currency)."""

    lots: Integers
    certificate: Certificate
    cost: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, eq=False)
class CashConstrainedProblem:
    """Problem of one portfolio (B = 1) whose separable optimum z overspends: the cash row binds.

    Minimise sum_i |t_i - p_i z_i| over whole lots z_i inside the bands, subject to the cash row
    sum_i p_i z_i + r_i <= investable. ``lots`` is the optimum without the cash row, whose drift is
    a lower bound, and ``shortfall`` the cash that it lacks.
    """

    portfolio_id: str
    block: Block
    bands: Bands
    lots: Integers  # shape (n,): the separable optimum
    shortfall: int  # units

    @property
    def base(self) -> int:
        """Base of the weights, in units."""
        return int(self.block.base[0])

    @property
    def remainder(self) -> Integers:
        """Value below one lot, shape (n,), units."""
        return np.broadcast_to(self.block.remainder[0], self.lots.shape)

    def drift(self, lots: Integers) -> Decimal:
        """Drift of a plan, in currency."""
        return fraction_to_decimal(self.drift_units(lots), self.block.decimals)

    def drift_units(self, lots: Integers) -> Fraction:
        """Drift of a plan in units, exact."""
        parts = int(compute_drift(self.block, self.bands, lots[None, :])[0])
        return Fraction(parts, self.block.denominator)


def solve_cash_constrained(problem: CashConstrainedProblem, budget: TimeBudget) -> Plan | None:
    """Find the optimum under the cash row; None if even the fewest lots overspend."""
    fewest = lot_limits(problem.block, problem.bands)[0]
    steps = next(list_steps(problem.block, problem.bands, problem.lots[None, :], fewest))
    if steps.max_cash < problem.shortfall:
        return None
    given_up = cover(steps, problem.shortfall)
    if given_up is None:
        return solve_by_program(problem, budget)
    lots = problem.lots - np.array(given_up, dtype=problem.lots.dtype)
    objective = problem.drift(lots)
    binding = (cash_binding(problem, lots),)
    return Plan(lots, Certificate(Proof.OPTIMAL, Method.COVER, objective, objective, binding))


def cash_binding(problem: CashConstrainedProblem, lots: Integers) -> Binding:
    """The cash floor as a binding constraint, with its slack."""
    return Binding(CASH_FLOOR, to_decimal(remaining_cash(problem, lots), problem.block.decimals))


def remaining_cash(problem: CashConstrainedProblem, lots: Integers) -> int:
    """Cash above the cash floor after a plan, in units."""
    invested = int((lots * problem.block.lot_value + problem.remainder).sum())
    return int(problem.block.investable[0]) - invested


def solve_by_program(problem: CashConstrainedProblem, budget: TimeBudget) -> Plan:
    """Find the optimum under the cash row by CVXPY and HiGHS, verified exactly."""
    fewest, most = (limits[0] for limits in lot_limits(problem.block, problem.bands))
    floor = problem.bands.target[0] // problem.block.lot_value
    base = np.minimum(np.maximum(floor, fewest), most)
    block, margin, bound = problem.block, Fraction(0), -np.inf
    for _ in range(MAX_TIGHTENINGS):
        data = cash_milp_data(problem, base, fewest, most, margin)
        answer, change = programs.solve_cash(data, budget)
        if answer.infeasible:  # only because of the margin: a plan exists
            break
        if change is None:
            raise NoSolutionInTimeError(problem.portfolio_id, budget.total_s)
        bound = answer.bound if not margin else bound  # a tightened row proves no bound
        lots = base + round_counts(change, base)
        if data.fine is not None:
            lots = _round_to_cash(problem, lots, data.fine.lots_per_step > 1)
        if not violated_constraints(block, lots[None, :]).any():
            return Plan(lots, _certify(problem, lots, base, replace(answer, bound=bound)))
        # Tightened, because the solver met the row only within tolerance.
        margin += compute_margin(-Fraction(remaining_cash(problem, lots)), block)
    raise CertificationError(problem.portfolio_id, ("the cash row holds only within a tolerance",))


def _round_to_cash(problem: CashConstrainedProblem, lots: Integers, is_fine: Chosen) -> Integers:
    """Clip lots to their bands; give up a fine lot of each security to keep the cash floor."""
    fewest, most = (limits[0] for limits in lot_limits(problem.block, problem.bands))
    lots = np.minimum(np.maximum(lots, fewest), most)
    return lots if remaining_cash(problem, lots) >= 0 else np.maximum(lots - is_fine, fewest)


def compute_margin(excess: Fraction, block: Block) -> Fraction:
    """Amount by which to tighten a limit that a plan exceeds by ``excess``, in units."""
    return 4 * max(excess, Fraction(0)) + feasibility_margin(block)


def feasibility_margin(block: Block) -> Fraction:
    """Feasibility margin for float rounding and solver tolerance, in units."""
    return FEASIBILITY_MARGIN * 10**block.decimals


def cash_milp_data(
    problem: CashConstrainedProblem,
    base: Integers,
    fewest: Integers,
    most: Integers,
    margin: Fraction = Fraction(0),
) -> CashMilpData:
    """State the program in floats, shifted by ``base`` lots, fewest <= base <= most; shape (n,)."""
    block, unit = problem.block, 10.0**-problem.block.decimals
    limit = Fraction(remaining_cash(problem, base))
    limit = (
        just_above(limit, compute_granularity(block.lot_value.tolist()), feasibility_margin(block))
        - margin
    )
    cost_across = crossing_costs(problem, base, 1)
    steps = lots_per_step(most - fewest)
    fine = (steps > 1).astype(bool)
    further = sum(
        p - c
        for p, c, is_fine in zip(block.lot_value.tolist(), cost_across, fine, strict=True)
        if is_fine
    )
    return CashMilpData(
        lot_value=(block.lot_value * steps).astype(float) * unit,
        cost_across=np.array(cost_across, dtype=float) * unit,
        can_cross=((base < most) & ~fine).astype(float),
        max_down=((base - fewest) / steps).astype(float),
        max_up=(np.maximum(most - base - ~fine, 0) / steps).astype(float),
        limit=float(limit) * unit,
        granularity=float(_compute_granularity(problem, base)) * unit,
        fine=FineLots(steps.astype(float), float(further) * unit) if fine.any() else None,
    )


def crossing_costs(
    problem: CashConstrainedProblem, base: Integers, sign: Integers | int
) -> list[Fraction]:
    """Drift added by one lot from ``base`` upward (1) or downward (-1), per security, in units."""
    parts = problem.block.denominator
    distance = (problem.bands.target[0] - base * problem.block.lot_value).tolist()
    step = (sign * problem.block.lot_value).tolist()
    rows = zip(distance, problem.bands.part[0].tolist(), step, strict=True)
    return [
        Fraction(abs((t - p) * parts + part) - abs(t * parts + part), parts) for t, part, p in rows
    ]


def _compute_granularity(problem: CashConstrainedProblem, base: Integers) -> Fraction:
    """Granularity of drift: any two plans differ by a multiple of it, in units."""
    return compute_granularity(
        [*crossing_costs(problem, base, 1), *problem.block.lot_value.tolist()]
    )


def lower_bound(objective: Fraction, bound: Fraction, granularity: Fraction) -> Fraction:
    """Round ``bound`` up to the next value that the objective can take, in currency.

    Any two objectives differ by a multiple of ``granularity``. A granularity below the resolution
    of floats is ignored: the result is then the bound itself, rounded down to four decimals.

    >>> lower_bound(Fraction(7), Fraction(19, 10), Fraction(2))
    Fraction(3, 1)
    """
    if granularity == 0:
        return objective
    if granularity < MIN_GRANULARITY:
        bound = (bound + FLOAT_NOISE) // DIGIT * DIGIT
        return min(bound, objective)
    return objective - max(objective - bound, Fraction(0)) // granularity * granularity


def classify_proof(answer: SolverAnswer, objective: Decimal, lower: Decimal) -> Proof:
    """Proof of a plan of the solver."""
    if not answer.proven:
        return Proof.FEASIBLE_TIME_LIMIT
    return Proof.OPTIMAL if lower == objective else Proof.OPTIMAL_WITHIN_GAP


def _certify(
    problem: CashConstrainedProblem,
    lots: Integers,
    base: Integers,
    answer: SolverAnswer,
) -> Certificate:
    objective, lower = problem.drift(lots), problem.drift(problem.lots)
    if np.isfinite(answer.bound):
        decimals, scale = problem.block.decimals, 10**problem.block.decimals
        bound = problem.drift_units(base) / scale + Fraction(answer.bound)
        granularity = _compute_granularity(problem, base) / scale
        solver = lower_bound(problem.drift_units(lots) / scale, bound, granularity)
        lower = max(lower, fraction_to_decimal(solver * scale, decimals))
    proof = classify_proof(answer, objective, lower)
    binding = (cash_binding(problem, lots),)
    return Certificate(proof, Method.MILP, objective, lower, binding, SOLVER, answer.seconds)
