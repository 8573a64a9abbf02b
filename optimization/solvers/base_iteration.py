"""The base that costs leave: which market value the bands, limits and targets of a plan are fractions of.

A plan is right where it is the optimum at the base B that its own costs leave, B = MV - C. So B is looked for
by iteration, B_0 = MV and B_(i+1) = MV - C_i, with C_i the costs of the optimum at B_i:

* **Fixed point.** The base returns at once: the plan is the optimum at its own base. From the executed plan
  the market value is this base, and C(z - u) <= C(z - z*) + C(z* - u) says that whatever z* can pay for u
  could pay for too: no trade is the optimum there, and the iteration begins there.
* **Cycle.** A few bases follow each other. The plan with the least costs is taken, of equal ones the one of
  fewest lots, provided that it keeps everything at its own base.
* **No plan**, at a base on the way, or none of the cycle that keeps its bands. Whether there is a plan at all is
  asked with every band and limit held to the plan's own base inside the program (Shares in terms.py), where
  targets alone are of the base; from the base of that plan the iteration begins anew.

Of a cycle, and of plans whose bands hold at no other base than their own, it is not known that they are left
alone once they are executed. So that is tried, and a plan that would be traded again is not taken: what brings a
holding into its band is then what the trades cost, and the next request gets the same for less.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from optimization.domain.certificate import Proof
from optimization.domain.decimals import EXACT
from optimization.errors import NoSolutionInTimeError
from optimization.exact.scaled_integers import fraction_to_decimal, to_decimal
from optimization.solvers.cash_constrained import Plan
from optimization.solvers.coupled_problem import CoupledProblem
from optimization.solvers.yielding_bands import violation_of

MAX_ROUNDS = 25  # bases of one iteration; a longer one is taken for a cycle of all that it met


@dataclass(frozen=True, slots=True)
class Statement:
    """One portfolio as a function of the costs that its base is short of, in units."""

    desk_after: Callable[[int], CoupledProblem]
    solve: Callable[[CoupledProblem], Plan | None]


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """The optimum of one portfolio at one base."""

    coupled: CoupledProblem
    plan: Plan

    @property
    def costs(self) -> int:
        """The costs of the plan, in units."""
        return costs_of(self.coupled, self.plan)

    @property
    def traded_lots(self) -> int:
        """All lots bought or sold."""
        return int(abs(self.plan.lots - self.coupled.tight.block.before[0]).sum())

    @property
    def is_settled(self) -> bool:
        """Whether the same request is known to trade nothing once the plan is executed."""
        fixed = self.plan.certificate.other_base is None and self.coupled.terms.shares is None
        return fixed or self.traded_lots == 0


def costs_of(coupled: CoupledProblem, plan: Plan) -> int:
    """The costs of a plan, in units; a block under options that cost has units in which they are whole."""
    cost = coupled.evaluate(plan.lots).cost
    if cost.denominator != 1:
        raise ValueError(f"costs of {cost} are no whole number of units")
    return cost.numerator


def plans_after_costs(at_base: Statement, at_own_base: Statement) -> Iterator[Step]:
    """The plans of a portfolio that keep everything at the base that they leave, the best first.

    Stated with limits of a given base; where no plan of these keeps them, with limits of the plan's own base,
    which leads to bases at which there is one.
    """
    yield from _consistent(at_base, 0)
    for step in _consistent(at_own_base, 0):
        yield from _consistent(at_base, step.costs)
        better = _optimum(at_base, step.costs)
        yield step if better is None else Step(step.coupled, _beside(step, step.coupled, better))


def _consistent(statement: Statement, costs: int) -> Iterator[Step]:
    """A fixed point, or the plans of a cycle that keep everything at the base that they leave."""
    steps = _iterate(statement, costs)
    if len(steps) == 1 and steps[0].costs == steps[0].coupled.tight.block.costs:
        yield steps[0]
        return
    for step in sorted(steps, key=_rank_late if any(map(_is_late, steps)) else _rank):
        own, lots = statement.desk_after(step.costs), step.plan.lots
        if own.keeps_bands(lots) and not own.evaluate(lots).broken:
            there = (one for one in steps if one.coupled.tight.base == own.tight.base)
            yield Step(own, _beside(step, own, next(there, None)))


def _rank(step: Step) -> tuple[int, int]:
    return step.costs, step.traded_lots


def _rank_late(step: Step) -> tuple[Decimal, int, int]:
    # Searches that ran out of time are no cycle: the cheapest may just be the one that found least.
    return step.plan.certificate.objective, *_rank(step)


def _is_late(step: Step) -> bool:
    return step.plan.certificate.proof is Proof.FEASIBLE_TIME_LIMIT


def _iterate(statement: Statement, costs: int) -> tuple[Step, ...]:
    """The steps that the iteration ends in: one that is fixed, or a cycle; none where a base has no plan.

    Those met in time where time runs out after the first.
    """
    met: dict[int, Step] = {}
    while costs not in met and len(met) < MAX_ROUNDS:
        coupled = statement.desk_after(costs)
        try:
            plan = statement.solve(coupled)
        except NoSolutionInTimeError:
            if not met:
                raise
            return tuple(_unproven(step) for step in met.values())
        if plan is None:
            return ()
        met[costs] = Step(coupled, plan)
        costs = met[costs].costs
    first = list(met).index(costs) if costs in met else 0
    return tuple(met.values())[first:]


def _unproven(step: Step) -> Step:
    late = replace(step.plan.certificate, proof=Proof.FEASIBLE_TIME_LIMIT)
    return Step(step.coupled, replace(step.plan, certificate=late))


def _optimum(statement: Statement, costs: int) -> Step | None:
    coupled = statement.desk_after(costs)
    plan = statement.solve(coupled)
    return None if plan is None else Step(coupled, plan)


def _beside(step: Step, own: CoupledProblem, better: Step | None) -> Plan:
    """A plan as it stands at its own base, beside the optimum there, which leaves another base."""
    certificate, decimals = step.plan.certificate, own.tight.block.decimals
    objective = fraction_to_decimal(own.evaluate(step.plan.lots).objective, decimals)
    if better is None:  # time ran out before its base was looked at
        nothing = EXACT.multiply(Decimal(0), objective)
        said = replace(
            certificate,
            objective=objective,
            lower_bound=nothing,
            violation=fraction_to_decimal(violation_of(own, step.plan.lots), decimals),
            violation_lower_bound=nothing,
        )
        return replace(step.plan, certificate=said)
    proof = certificate.proof
    if proof is not Proof.FEASIBLE_TIME_LIMIT:
        proof = Proof.FIXED_POINT_CYCLE
    other = int(own.tight.block.market_value[0]) - better.costs
    said = replace(
        certificate,
        proof=proof,
        objective=objective,
        lower_bound=min(better.plan.certificate.lower_bound, objective),
        other_base=to_decimal(other, decimals),
    )
    return replace(step.plan, certificate=said)
