"""Base iteration: find the base B = MV - C that a plan's own costs C leave.

Bands, limits and targets are fractions of the base. A plan is consistent if it is the optimum at
the base that its own costs leave. The iteration B_0 = MV, B_(i+1) = MV - C_i looks for it, with C_i
the costs of the optimum at B_i:

* **Fixed point.** The base repeats at once: the plan is the optimum at its own base. After
  execution the market value is this base, and C(z - u) <= C(z - z*) + C(z* - u) says that z* could
  pay for every u that z can pay for. No trade is then the optimum, and the iteration starts there.
* **Cycle.** A few bases repeat in turn. The plan with the lowest costs is taken (a tie goes to the
  fewest traded lots), provided that it keeps every limit at its own base.
* **No plan** at some base, or no plan of the cycle keeps its bands. The program is then solved with
  every band and limit stated at the plan's own base (BaseFractions in constraints.py), and only the
  targets at the given base. The iteration restarts from the base of that plan.

After a plan of a cycle, or one whose bands hold only at its own base, is executed, an equal request
may trade again. after_costs.py tests this and rejects such a plan, because the new trades would
only pay for the costs of the previous ones.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from optimization.domain.certificate import Proof
from optimization.domain.numbers import EXACT
from optimization.errors import NoSolutionInTimeError
from optimization.exact.scaled_integers import fraction_to_decimal, to_decimal
from optimization.solvers.cash_constrained import Plan
from optimization.solvers.coupled_problem import CoupledProblem
from optimization.solvers.least_violation import compute_violation

MAX_ROUNDS = 25  # bases of an iteration; a longer one counts as a cycle of all its bases


@dataclass(frozen=True, slots=True)
class Statement:
    """Problem of a portfolio as a function of the costs subtracted from its base, in units."""

    problem_after: Callable[[int], CoupledProblem]
    solve: Callable[[CoupledProblem], Plan | None]


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """The optimum of one portfolio at one base."""

    coupled: CoupledProblem
    plan: Plan

    @property
    def costs(self) -> int:
        """Costs of the plan, in units."""
        return compute_costs(self.coupled, self.plan)

    @property
    def traded_lots(self) -> int:
        """Total lots bought or sold."""
        return int(abs(self.plan.lots - self.coupled.block.before[0]).sum())

    @property
    def is_settled(self) -> bool:
        """Whether an equal request is known to trade nothing after the plan is executed."""
        fixed = (
            self.plan.certificate.other_base is None
            and self.coupled.constraints.base_fractions is None
        )
        return fixed or self.traded_lots == 0


def compute_costs(coupled: CoupledProblem, plan: Plan) -> int:
    """Costs of a plan, in units; the units of a block under costs make them whole."""
    cost = coupled.evaluate(plan.lots).cost
    if cost.denominator != 1:
        raise ValueError(f"costs of {cost} are no whole number of units")
    return cost.numerator


def plans_after_costs(at_base: Statement, at_own_base: Statement) -> Iterator[Step]:
    """Yield the plans of a portfolio that keep every limit at the base they leave, the best first.

    Limits are first stated at a given base. If no such plan keeps them, they are stated at the
    plan's own base, which leads to bases that have a plan.
    """
    yield from _find_consistent_steps(at_base, 0)
    for step in _find_consistent_steps(at_own_base, 0):
        yield from _find_consistent_steps(at_base, step.costs)
        better = _find_optimum(at_base, step.costs)
        yield (
            step
            if better is None
            else Step(step.coupled, _certify_at_own_base(step, step.coupled, better))
        )


def _find_consistent_steps(statement: Statement, costs: int) -> Iterator[Step]:
    """Yield a fixed point, or the plans of a cycle that keep every limit at the base they leave."""
    steps = _iterate(statement, costs)
    if len(steps) == 1 and steps[0].costs == steps[0].coupled.block.costs:
        yield steps[0]
        return
    for step in sorted(steps, key=_rank_late if any(map(_is_late, steps)) else _rank):
        own, lots = statement.problem_after(step.costs), step.plan.lots
        if own.keeps_bands(lots) and not own.evaluate(lots).violated_limits:
            base = own.cash_problem.base
            at_base = (other for other in steps if other.coupled.cash_problem.base == base)
            yield Step(own, _certify_at_own_base(step, own, next(at_base, None)))


def _rank(step: Step) -> tuple[int, int]:
    return step.costs, step.traded_lots


def _rank_late(step: Step) -> tuple[Decimal, int, int]:
    # Ranked by objective, because the lowest costs may come from the least finished search.
    return step.plan.certificate.objective, *_rank(step)


def _is_late(step: Step) -> bool:
    return step.plan.certificate.proof is Proof.FEASIBLE_TIME_LIMIT


def _iterate(statement: Statement, costs: int) -> tuple[Step, ...]:
    """Iterate to a fixed point or a cycle; no steps if a base has no plan.

    Returns the steps found so far if the time runs out after the first base.
    """
    steps: dict[int, Step] = {}
    while costs not in steps and len(steps) < MAX_ROUNDS:
        coupled = statement.problem_after(costs)
        try:
            plan = statement.solve(coupled)
        except NoSolutionInTimeError:
            if not steps:
                raise
            return tuple(_mark_unproven(step) for step in steps.values())
        if plan is None:
            return ()
        steps[costs] = Step(coupled, plan)
        costs = steps[costs].costs
    first = list(steps).index(costs) if costs in steps else 0
    return tuple(steps.values())[first:]


def _mark_unproven(step: Step) -> Step:
    certificate = replace(step.plan.certificate, proof=Proof.FEASIBLE_TIME_LIMIT)
    return Step(step.coupled, replace(step.plan, certificate=certificate))


def _find_optimum(statement: Statement, costs: int) -> Step | None:
    coupled = statement.problem_after(costs)
    plan = statement.solve(coupled)
    return None if plan is None else Step(coupled, plan)


def _certify_at_own_base(step: Step, own: CoupledProblem, better: Step | None) -> Plan:
    """Certify a plan at its own base, against the optimum there, which leaves another base."""
    certificate, decimals = step.plan.certificate, own.block.decimals
    objective = fraction_to_decimal(own.evaluate(step.plan.lots).objective, decimals)
    if better is None:  # time ran out before a plan was found at this base
        nothing = EXACT.multiply(Decimal(0), objective)
        certificate = replace(
            certificate,
            objective=objective,
            lower_bound=nothing,
            violation=fraction_to_decimal(compute_violation(own, step.plan.lots), decimals),
            violation_lower_bound=nothing,
        )
        return replace(step.plan, certificate=certificate)
    proof = certificate.proof
    if proof is not Proof.FEASIBLE_TIME_LIMIT:
        proof = Proof.FIXED_POINT_CYCLE
    other = int(own.block.market_value[0]) - better.costs
    certificate = replace(
        certificate,
        proof=proof,
        objective=objective,
        lower_bound=min(better.plan.certificate.lower_bound, objective),
        other_base=to_decimal(other, decimals),
    )
    return replace(step.plan, certificate=certificate)
