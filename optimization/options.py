"""RebalanceOptions: what one rebalance may ask beyond its model."""

from dataclasses import dataclass
from decimal import Decimal

from optimization.errors import RuleError


@dataclass(frozen=True, slots=True)
class RebalanceOptions:
    """Options of one rebalance.

    ``cash_floor`` is the least cash in currency that a plan leaves; ``time_limit_s`` bounds the solver
    for one portfolio, which only the modelling path can reach.

    >>> RebalanceOptions().cash_floor
    Decimal('0')
    """

    cash_floor: Decimal = Decimal(0)
    time_limit_s: float = 30.0

    def __post_init__(self) -> None:
        if not (self.cash_floor.is_finite() and self.cash_floor >= 0):
            raise RuleError(("cash_floor",), self.cash_floor, "a cash floor is an amount from 0")
        if not self.time_limit_s > 0:
            raise RuleError(("time_limit_s",), self.time_limit_s, "a time limit is above 0 seconds")
