"""Certificate: the proof that comes with an answer."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from optimization.domain.decimals import EXACT


class Method(StrEnum):
    """The path that found an answer.

    >>> print(*Method)
    SEPARABLE COVER MILP
    """

    SEPARABLE = "SEPARABLE"
    COVER = "COVER"
    MILP = "MILP"


class Proof(StrEnum):
    """How good an answer is known to be.

    >>> print(*Proof)
    OPTIMAL OPTIMAL_WITHIN_GAP FIXED_POINT_CYCLE FEASIBLE_TIME_LIMIT
    """

    OPTIMAL = "OPTIMAL"
    OPTIMAL_WITHIN_GAP = "OPTIMAL_WITHIN_GAP"
    FIXED_POINT_CYCLE = (
        "FIXED_POINT_CYCLE"  # no plan is the optimum at the base that its costs leave
    )
    FEASIBLE_TIME_LIMIT = "FEASIBLE_TIME_LIMIT"


@dataclass(frozen=True, slots=True)
class Binding:
    """A constraint that keeps the plan from less drift, and what is left of it (currency, or trades).

    An option by its name, or the band of a security.

    >>> Binding("maximum_trades", Decimal(0)).slack
    Decimal('0')
    """

    constraint: str  # cash_floor, groups.energy.high, do_not_sell, band.<security id> ...
    slack: Decimal


@dataclass(frozen=True, slots=True)
class Certificate:
    """Objective and lower bound in currency, how they were reached, and what binds.

    Both are exact, save the lower bound of the modelling path: that one is the better of the exact
    separable one and the solver's, a float, rounded up to the next amount that an objective can be.
    Of a cycle, the lower bound is that of a plan which is better at this base, but leaves ``other_base``, where it
    is not: the base that a plan leaves is what the next one is measured at.
    ``violation`` is what all positions are outside their bands together, in currency; where bands
    yield no plan has less than its lower bound, and the objective is the least at that violation. With
    a soft_band_price the objective has the violation in it, and the bound is 0.
    ``seconds`` is what a solver took; it is not part of what makes two answers equal.

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
    other_base: Decimal | None = None  # where the proof is FIXED_POINT_CYCLE
    violation: Decimal = Decimal("0.00")
    violation_lower_bound: Decimal = Decimal("0.00")

    @property
    def gap(self) -> Decimal:
        """How far the objective may be above the true optimum, in currency."""
        return EXACT.subtract(self.objective, self.lower_bound)
