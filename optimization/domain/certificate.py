"""Certificate: the proof of optimality that comes with an answer."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from optimization.domain.numbers import EXACT

CASH_FLOOR = "cash_floor"  # constraint of the cash row


class Method(StrEnum):
    """Solution method that found a plan.

    >>> print(*Method)
    SEPARABLE COVER MILP
    """

    SEPARABLE = "SEPARABLE"
    COVER = "COVER"
    MILP = "MILP"


class Proof(StrEnum):
    """Proven quality of a plan.

    >>> print(*Proof)
    OPTIMAL OPTIMAL_WITHIN_GAP FIXED_POINT_CYCLE FEASIBLE_TIME_LIMIT
    """

    OPTIMAL = "OPTIMAL"
    OPTIMAL_WITHIN_GAP = "OPTIMAL_WITHIN_GAP"
    FIXED_POINT_CYCLE = "FIXED_POINT_CYCLE"  # no plan is the optimum at its own base
    FEASIBLE_TIME_LIMIT = "FEASIBLE_TIME_LIMIT"


@dataclass(frozen=True, slots=True)
class Binding:
    """Binding constraint, which keeps the plan from less drift; slack in currency, or in trades.

    ``constraint`` is the name of an option, or the band of a security.

    >>> Binding("maximum_trades", Decimal(0)).slack
    Decimal('0')
    """

    constraint: str  # cash_floor, groups.energy.high, do_not_sell, band.<security id> ...
    slack: Decimal


@dataclass(frozen=True, slots=True)
class Certificate:
    """Objective and lower bound of a plan in currency, the method, and the binding constraints.

    Both amounts are exact, except the lower bound of a MILP. That is the better of the exact
    separable bound and the solver's dual bound: a float, rounded up to the next value that an
    objective can take.

    ``other_base`` is set for a cycle: the lower bound then belongs to a plan that is better at this
    base but leaves ``other_base``, where it is not better.

    ``violation`` is the total value of positions outside their bands. If bands yield, no plan has
    less than ``violation_lower_bound``, and the objective is minimal at that violation. With a
    soft_band_price the objective contains the violation, whose own lower bound is then 0.

    ``seconds`` is solver time and is not compared.

    >>> bounds = Decimal("38.00"), Decimal("37.9951")
    >>> Certificate(Proof.OPTIMAL_WITHIN_GAP, Method.MILP, *bounds).gap
    Decimal('0.0049')
    """

    proof: Proof
    method: Method
    objective: Decimal
    lower_bound: Decimal
    binding: tuple[Binding, ...] = ()
    solver: str = "exact"
    seconds: float = field(default=0.0, compare=False)
    other_base: Decimal | None = None  # set if the proof is FIXED_POINT_CYCLE
    violation: Decimal = Decimal("0.00")
    violation_lower_bound: Decimal = Decimal("0.00")

    @property
    def gap(self) -> Decimal:
        """Distance of the objective from its lower bound, in currency."""
        return EXACT.subtract(self.objective, self.lower_bound)
