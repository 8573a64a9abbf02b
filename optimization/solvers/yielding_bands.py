"""Bands that yield: the least violation of bands in currency first, the least drift (and costs) second.

Each security on its own: violation and drift are both convex in its lots, so the best of (violation, drift) is
next to an edge of the band or next to the target, clipped to what restrictions admit. To clip the lots nearest
to the target is wrong: of a lot worth 400, a band of 100..350 and a target of 190, no lot drifts less and one lot
violates less.

Where this point keeps every limit it is the optimum. Where nothing but the cash floor is in its way, only steps
down help, none below what is held and may not be sold:

* steps that leave every violation as it is are enough: the cover of cover.py, and its optimum;
* they are not: all of them are taken, and what is still missing is a cover of its own, whose steps cost what they
  add to violations - at first what the edge is away, then all that they free.

All else is the program, once for the violation and once more for the drift at no more violation than that.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from math import ceil

import numpy as np

from optimization.domain.certificate import Certificate, Method, Proof
from optimization.errors import CertificationError, NoSolutionInTimeError
from optimization.exact.band_violations import edges_of, violations, worth_of
from optimization.exact.scaled_integers import Integers, fraction_to_decimal
from optimization.solvers.cash_constrained import (
    MAX_TIGHTENINGS,
    SOLVER,
    Plan,
    cash_binding,
    margin_for,
)
from optimization.solvers.coupled import (
    or_no_trade,
    separable_plan,
    solve_program,
    with_fewest_trades,
)
from optimization.solvers.coupled_problem import CoupledProblem
from optimization.solvers.knapsack_cover import Steps, cover, steps_of
from optimization.solvers.separable import nearest_lots
from optimization.time_budget import Budget


@dataclass(frozen=True, slots=True, eq=False)
class LeastViolation:
    """Lots of the least violation that is known, and what is known of it; in units."""

    lots: Integers
    violation: Fraction
    lower_bound: Fraction
    is_proven: bool = True


def yielding(coupled: CoupledProblem) -> CoupledProblem:
    """The same portfolio with bands that yield, at the separable optimum of (violation, drift)."""
    terms = replace(coupled.terms, soft_price=Fraction(0), edges=edges_of(coupled.tight.block))
    soft = replace(coupled, terms=terms)
    return replace(soft, tight=replace(coupled.tight, lots=closest_lots(soft, *soft.bounds)))


def closest_lots(coupled: CoupledProblem, least: Integers, most: Integers) -> Integers:
    """The lots of each security with the least (violation, drift) between bounds; shape (n,).

    A tie goes to fewer traded lots, then to fewer lots.
    """
    block, bands, parts = coupled.tight.block, coupled.tight.bands, coupled.tight.block.denominator
    rows = zip(
        block.lot_value.tolist(),
        coupled.tight.remainder.tolist(),
        coupled.terms.edges,
        bands.target[0].tolist(),
        bands.part[0].tolist(),
        block.before[0].tolist(),
        least.tolist(),
        most.tolist(),
        strict=True,
    )
    lots: list[int] = []
    for value, rest, (low, high), target, part, before, fewest, greatest in rows:
        at = [int((edge - rest) * parts) for edge in (low, high)], target * parts + part
        lots.append(_closest(value * parts, *at, before, (fewest, greatest)))
    return np.array(lots, dtype=least.dtype)


def _closest(
    value: int, edges: Sequence[int], target: int, before: int, bounds: tuple[int, int]
) -> int:
    (low, high), (fewest, most) = edges, bounds
    near = {at // value + step for at in (low, high, target) for step in (0, 1)}
    clipped = {min(max(lots, fewest), most) for lots in near}

    def rank(lots: int) -> tuple[int, int, int, int]:
        worth = lots * value
        outside = max(low - worth, worth - high, 0)
        return outside, abs(target - worth), abs(lots - before), lots

    return min(clipped, key=rank)


def solve_yielding(coupled: CoupledProblem, budget: Budget, *, fewest_trades: bool) -> Plan | None:
    """The plan of least violation and then of least drift; None where limits alone leave none.

    ``desk`` is one that yields.
    """
    plan = _separable_or_cover(coupled) or _programmed(coupled, budget)
    if plan is None or not fewest_trades:
        return plan
    outside = violation_of(coupled, plan.lots)
    fewer = with_fewest_trades(_capped(coupled, outside), plan, budget)
    return plan if violation_of(coupled, fewer.lots) != outside else fewer


def violation_of(coupled: CoupledProblem, lots: Integers) -> Fraction:
    """What all positions are outside their bands together, in units."""
    return sum(violations(coupled.terms.edges, worth_of(coupled.tight.block, lots)), Fraction(0))


def least_violation(coupled: CoupledProblem, budget: Budget) -> LeastViolation | None:
    """The least violation under every restriction and limit; None where there is no plan at all."""
    lots = coupled.tight.lots
    if coupled.keeps_bands(lots) and not coupled.evaluate(lots).broken:
        return _exact(coupled, lots)
    if not coupled.terms.cash_floor_alone:
        return _by_program(coupled, budget)
    fewest = _fewest_at_no_violation(coupled)
    still = _shortfall(coupled, fewest)
    if still <= 0:
        return _exact(coupled, fewest)
    steps = _violation_steps(coupled, fewest)
    if steps.most < still:
        return None
    given_up = cover(steps, still)
    if given_up is None:
        return _by_program(coupled, budget)
    return _exact(coupled, fewest - np.array(given_up, dtype=fewest.dtype))


def _separable_or_cover(coupled: CoupledProblem) -> Plan | None:
    plan = separable_plan(coupled)
    if plan is None and coupled.terms.cash_floor_alone:
        plan = _cover_at_no_violation(coupled)
    if plan is None:
        return None
    outside = _currency(coupled, violation_of(coupled, plan.lots))
    said = replace(plan.certificate, violation=outside, violation_lower_bound=outside)
    return replace(plan, certificate=said)


def _cover_at_no_violation(coupled: CoupledProblem) -> Plan | None:
    """The least drift within the cash floor, where no violation has to rise for it."""
    tight, fewest, need = (
        coupled.tight,
        _fewest_at_no_violation(coupled),
        _shortfall(coupled, coupled.tight.lots),
    )
    target, part, parts = tight.bands.target[0], tight.bands.part[0], tight.block.denominator
    steps = steps_of(tight.block.lot_value, tight.lots, fewest, target, part, parts)
    if need <= 0 or steps.most < need:
        return None
    given_up = cover(steps, need)
    if given_up is None:
        return None
    lots = tight.lots - np.array(given_up, dtype=tight.lots.dtype)
    drift, binding = tight.drift(lots), (cash_binding(tight, lots),)
    return Plan(lots, Certificate(Proof.OPTIMAL, Method.COVER, drift, drift, binding))


def _shortfall(coupled: CoupledProblem, lots: Integers) -> int:
    """What lots spend beyond the cash floor, in whole units; not above 0 if nothing."""
    (cash,) = coupled.evaluate(lots).limits
    return ceil(-cash.slack)


def _fewest_at_no_violation(coupled: CoupledProblem) -> Integers:
    """How far each security can step down from the separable optimum without more violation of its band."""
    tight, (least, _) = coupled.tight, coupled.bounds
    rows = zip(
        tight.lots.tolist(),
        least.tolist(),
        tight.block.lot_value.tolist(),
        tight.remainder.tolist(),
        coupled.terms.edges,
        strict=True,
    )
    fewest: list[int] = []
    for lots, bound, value, rest, (low, high) in rows:
        lowest = max(bound, ceil((low - rest) / value))
        if lots * value + rest > high:  # as far above the band as the next lot is below it, perhaps
            level = high + low == (2 * lots - 1) * value + 2 * rest
            lowest = max(bound, lots - level)
        fewest.append(min(lots, lowest))
    return np.array(fewest, dtype=tight.lots.dtype)


def _violation_steps(coupled: CoupledProblem, fewest: Integers) -> Steps:
    """The steps down from there: what each adds to the violation is at most what it frees."""
    block, (least, _) = coupled.tight.block, coupled.bounds
    parts, values = block.denominator, block.lot_value.tolist()
    before = violations(coupled.terms.edges, worth_of(block, fewest))
    after = violations(coupled.terms.edges, worth_of(block, fewest - 1))
    first: list[int | None] = []
    further: list[int] = []
    for value, room, low, high in zip(
        values, (fewest - least).tolist(), before, after, strict=True
    ):
        added = int((high - low) * parts)
        is_short = room > 0 and added < value * parts
        first.append(added if is_short else None)
        further.append(room - is_short)
    return Steps(values, first, further, parts)


def _programmed(coupled: CoupledProblem, budget: Budget) -> Plan | None:
    least = least_violation(coupled, budget)
    if least is None:
        return None
    try:
        capped = _capped(coupled, least.violation + _slack_for_rounding(coupled))
        plan = solve_program(capped, budget)
        plan = plan and or_no_trade(capped, plan)
    except (NoSolutionInTimeError, CertificationError):
        plan = None
    return _certified(coupled, least, plan or _as_found(coupled, least))


def _slack_for_rounding(coupled: CoupledProblem) -> Fraction:
    """What fine lots need between two limits, so that rounding one way or the other keeps both."""
    rounding = coupled.rounding
    return (
        MAX_TIGHTENINGS * margin_for(Fraction(rounding), coupled.tight.block)
        if rounding
        else Fraction(0)
    )


def _by_program(coupled: CoupledProblem, budget: Budget) -> LeastViolation | None:
    terms = replace(coupled.terms, soft_price=Fraction(1), violation_alone=True)
    plan = solve_program(replace(coupled, terms=terms), budget.share(2))
    if plan is None:
        return None
    bound = Fraction(plan.certificate.lower_bound) * 10**coupled.tight.block.decimals
    proven = plan.certificate.proof is not Proof.FEASIBLE_TIME_LIMIT
    return LeastViolation(plan.lots, violation_of(coupled, plan.lots), bound, proven)


def _exact(coupled: CoupledProblem, lots: Integers) -> LeastViolation:
    outside = violation_of(coupled, lots)
    return LeastViolation(lots, outside, outside)


def _capped(coupled: CoupledProblem, most: Fraction) -> CoupledProblem:
    """The same portfolio with its bands violated by no more than this."""
    return replace(coupled, terms=replace(coupled.terms, violation_most=most))


def _as_found(coupled: CoupledProblem, least: LeastViolation) -> Plan:
    """The plan of least violation itself, of whose drift nothing better is known than its least ever."""
    tight, found = coupled.tight, coupled.evaluate(least.lots)
    objective = _currency(coupled, found.objective)
    lower = tight.drift(nearest_lots(tight.block, tight.bands)[0])
    certificate = Certificate(Proof.FEASIBLE_TIME_LIMIT, Method.MILP, objective, lower, (), SOLVER)
    return Plan(least.lots, certificate, _currency(coupled, found.cost))


def _certified(coupled: CoupledProblem, least: LeastViolation, plan: Plan) -> Plan:
    outside = violation_of(coupled, plan.lots)
    bound, proof = min(least.lower_bound, outside), plan.certificate.proof
    if not least.is_proven:
        proof = Proof.FEASIBLE_TIME_LIMIT
    elif proof is Proof.OPTIMAL and bound < outside:
        proof = Proof.OPTIMAL_WITHIN_GAP
    said = replace(
        plan.certificate,
        proof=proof,
        violation=_currency(coupled, outside),
        violation_lower_bound=_currency(coupled, bound),
    )
    return replace(plan, certificate=said)


def _currency(coupled: CoupledProblem, units: Fraction) -> Decimal:
    return fraction_to_decimal(units, coupled.tight.block.decimals)
