"""One portfolio whose cash row binds: the cover, or where that does not stay small the CVXPY program."""

from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from importlib.metadata import version

import numpy as np

from optimization.domain.certificate import Binding, Certificate, Method, Proof
from optimization.errors import CertificationError, NoSolutionInTimeError
from optimization.exact.block import Bands, Block, lot_limits
from optimization.exact.fine_lots import lots_per_step
from optimization.exact.scaled_integers import (
    Integers,
    fraction_to_decimal,
    granularity_of,
    just_above,
    rounded,
    to_decimal,
)
from optimization.exact.verification import violated_constraints
from optimization.milp import formulations
from optimization.milp.data import CashMilpData, FineLots
from optimization.milp.sparse_form import Chosen
from optimization.solvers.knapsack_cover import cover, steps_of
from optimization.solvers.separable import drift_of
from optimization.time_budget import Budget

MAX_TIGHTENINGS = 3
FEASIBILITY_MARGIN = Fraction(1, 1_000_000)  # currency
DIGIT, FLOAT_NOISE = (
    Fraction(1, 10_000),
    Fraction(1, 10_000_000),
)  # of a bound: its last one, what floats are off
SOLVER = f"HiGHS {version('highspy')}"


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Lots after the plan, shape (n,), what they prove, and the costs of trading, in currency."""

    lots: Integers
    certificate: Certificate
    cost: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, eq=False)
class CashConstrainedProblem:
    """One portfolio (B = 1), its separable optimum, and what that spends too much."""

    portfolio_id: str
    block: Block
    bands: Bands
    lots: Integers  # shape (n,): the separable optimum
    need: int  # units

    @property
    def base(self) -> int:
        """The amount that weights are fractions of, in units."""
        return int(self.block.base[0])

    @property
    def remainder(self) -> Integers:
        """What is below one lot, shape (n,), units."""
        return np.broadcast_to(self.block.remainder[0], self.lots.shape)

    def drift(self, lots: Integers) -> Decimal:
        """The objective of a plan, in currency."""
        return fraction_to_decimal(self.drift_units(lots), self.block.decimals)

    def drift_units(self, lots: Integers) -> Fraction:
        """The same in units, exact."""
        parts = drift_of(self.block, self.bands, lots[None, :])[0]
        return Fraction(parts, self.block.denominator)


def solve_cash_constrained(tight: CashConstrainedProblem, budget: Budget) -> Plan | None:
    """The optimum under the cash row; None where even the cheapest lots overspend."""
    fewest = lot_limits(tight.block, tight.bands)[0][0]
    target, part = tight.bands.target[0], tight.bands.part[0]
    block = tight.block
    steps = steps_of(block.lot_value, tight.lots, fewest, target, part, block.denominator)
    if steps.most < tight.need:
        return None
    given_up = cover(steps, tight.need)
    if given_up is None:
        return solve_by_program(tight, budget)
    lots = tight.lots - np.array(given_up, dtype=tight.lots.dtype)
    objective = tight.drift(lots)
    binding = (cash_binding(tight, lots),)
    return Plan(lots, Certificate(Proof.OPTIMAL, Method.COVER, objective, objective, binding))


def cash_binding(tight: CashConstrainedProblem, lots: Integers) -> Binding:
    """The cash floor, and what the plan leaves above it."""
    return Binding("cash_floor", to_decimal(cash_left(tight, lots), tight.block.decimals))


def cash_left(tight: CashConstrainedProblem, lots: Integers) -> int:
    """What lots leave above the cash floor, in units."""
    invested = int((lots * tight.block.lot_value + tight.remainder).sum())
    return int(tight.block.investable[0]) - invested


def solve_by_program(tight: CashConstrainedProblem, budget: Budget) -> Plan:
    """The same optimum by the CVXPY model and HiGHS, verified exactly."""
    fewest, most = (limits[0] for limits in lot_limits(tight.block, tight.bands))
    floor = tight.bands.target[0] // tight.block.lot_value
    base = np.minimum(np.maximum(floor, fewest), most)
    block, margin, bound = tight.block, Fraction(0), -np.inf
    for _ in range(MAX_TIGHTENINGS):
        problem = cash_problem(tight, base, fewest, most, margin)
        answer, change = formulations.solve_cash(problem, budget)
        if answer.infeasible:  # the tightened row; without a margin there is a plan
            break
        if change is None:
            raise NoSolutionInTimeError(tight.portfolio_id, budget.total_s)
        bound = answer.bound if not margin else bound  # of a tightened row it proves nothing
        lots = base + rounded(change, base)
        if problem.fine is not None:
            lots = _rounded_to_cash(tight, lots, problem.fine.lots_per_step > 1)
        if not violated_constraints(block, lots[None, :]).any():
            return Plan(lots, _certificate(tight, lots, base, replace(answer, bound=bound)))
        # A row met only within the solver's tolerance: ask again with more than that taken off.
        margin += margin_for(-Fraction(cash_left(tight, lots)), block)
    raise CertificationError(tight.portfolio_id, ("the cash row holds only within a tolerance",))


def _rounded_to_cash(tight: CashConstrainedProblem, lots: Integers, is_fine: Chosen) -> Integers:
    """Lots inside their bands, a lot less of each fine one where they would overdraw the cash floor."""
    fewest, most = (limits[0] for limits in lot_limits(tight.block, tight.bands))
    lots = np.minimum(np.maximum(lots, fewest), most)
    return lots if cash_left(tight, lots) >= 0 else np.maximum(lots - is_fine, fewest)


def margin_for(excess: Fraction, block: Block) -> Fraction:
    """What to take off a limit that a plan exceeds by so much, in units."""
    return 4 * max(excess, Fraction(0)) + hair_of(block)


def hair_of(block: Block) -> Fraction:
    """What floats and the solver may miss a limit by, in units."""
    return FEASIBILITY_MARGIN * 10**block.decimals


def cash_problem(
    tight: CashConstrainedProblem,
    base: Integers,
    fewest: Integers,
    most: Integers,
    margin: Fraction = Fraction(0),
) -> CashMilpData:
    """The program's floats, shifted by ``base`` lots, fewest <= base <= most; arrays of shape (n,)."""
    block, unit = tight.block, 10.0**-tight.block.decimals
    limit = Fraction(cash_left(tight, base))
    limit = just_above(limit, granularity_of(block.lot_value.tolist()), hair_of(block)) - margin
    chord = across(tight, base, 1)
    steps = lots_per_step(most - fewest)
    fine = (steps > 1).astype(bool)
    further = sum(
        p - c for p, c, one in zip(block.lot_value.tolist(), chord, fine, strict=True) if one
    )
    return CashMilpData(
        lot_value=(block.lot_value * steps).astype(float) * unit,
        chord=np.array(chord, dtype=float) * unit,
        chords=((base < most) & ~fine).astype(float),
        most_down=((base - fewest) / steps).astype(float),
        most_up=(np.maximum(most - base - ~fine, 0) / steps).astype(float),
        limit=float(limit) * unit,
        granularity=float(_grain(tight, base)) * unit,
        fine=FineLots(steps.astype(float), float(further) * unit) if fine.any() else None,
    )


def across(tight: CashConstrainedProblem, base: Integers, sign: Integers | int) -> list[Fraction]:
    """What one lot from ``base`` upward (1) or downward (-1) adds to the drift of each security, in units."""
    parts = tight.block.denominator
    away = (tight.bands.target[0] - base * tight.block.lot_value).tolist()
    step = (sign * tight.block.lot_value).tolist()
    rows = zip(away, tight.bands.part[0].tolist(), step, strict=True)
    return [
        Fraction(abs((t - p) * parts + part) - abs(t * parts + part), parts) for t, part, p in rows
    ]


def _grain(tight: CashConstrainedProblem, base: Integers) -> Fraction:
    """What the drifts of all plans differ by in whole multiples, in units."""
    return granularity_of([*across(tight, base, 1), *tight.block.lot_value.tolist()])


def lower_bound(objective: Fraction, bound: Fraction, granularity: Fraction) -> Fraction:
    """The least that an objective can be that is not below ``bound``, in currency; all differ by the grain.

    A grain that floats cannot tell is none: then the bound itself, to four digits.

    >>> lower_bound(Fraction(7), Fraction(19, 10), Fraction(2))
    Fraction(3, 1)
    """
    if granularity == 0:
        return objective
    if granularity < formulations.MIN_GRANULARITY:
        bound = (bound + FLOAT_NOISE) // DIGIT * DIGIT
        return min(bound, objective)
    return objective - max(objective - bound, Fraction(0)) // granularity * granularity


def proof_of(answer: formulations.SolverAnswer, objective: Decimal, lower: Decimal) -> Proof:
    """How good a plan of the solver is known to be."""
    if not answer.proven:
        return Proof.FEASIBLE_TIME_LIMIT
    return Proof.OPTIMAL if lower == objective else Proof.OPTIMAL_WITHIN_GAP


def _certificate(
    tight: CashConstrainedProblem, lots: Integers, base: Integers, answer: formulations.SolverAnswer
) -> Certificate:
    objective, lower = tight.drift(lots), tight.drift(tight.lots)
    if np.isfinite(answer.bound):
        decimals, scale = tight.block.decimals, 10**tight.block.decimals
        bound = tight.drift_units(base) / scale + Fraction(answer.bound)
        granularity = _grain(tight, base) / scale
        solver = lower_bound(tight.drift_units(lots) / scale, bound, granularity)
        lower = max(lower, fraction_to_decimal(solver * scale, decimals))
    proof = proof_of(answer, objective, lower)
    binding = (cash_binding(tight, lots),)
    return Certificate(proof, Method.MILP, objective, lower, binding, SOLVER, answer.seconds)
