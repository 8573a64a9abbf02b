"""Certificate: what an answer proves about itself."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Method(StrEnum):
    """The path that found an answer."""

    SEPARABLE = "SEPARABLE"
    COVER = "COVER"
    MILP = "MILP"


class Proof(StrEnum):
    """How good an answer is known to be."""

    OPTIMAL = "OPTIMAL"
    OPTIMAL_WITHIN_GAP = "OPTIMAL_WITHIN_GAP"
    FEASIBLE_TIME_LIMIT = "FEASIBLE_TIME_LIMIT"


@dataclass(frozen=True, slots=True)
class Certificate:
    """Objective and lower bound in currency, exact; how they were reached."""

    proof: Proof
    method: Method
    objective: Decimal
    lower_bound: Decimal

    @property
    def gap(self) -> Decimal:
        """How far the objective may be above the true optimum, in currency."""
        return self.objective - self.lower_bound
