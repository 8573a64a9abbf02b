"""Values of options: directions, scopes, rules for bands and orders, and groups."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from optimization.domain.numbers import Number, read_decimal
from optimization.domain.rules import require_range, require_visible
from optimization.errors import OptionsConflictError, RuleError


class Direction(StrEnum):
    """Permitted direction of trades.

    >>> Direction("BUY_ONLY")
    <Direction.BUY_ONLY: 'BUY_ONLY'>
    """

    FULL = "FULL"
    BUY_ONLY = "BUY_ONLY"
    SELL_ONLY = "SELL_ONLY"


class Scope(StrEnum):
    """Securities to trade, and how far.

    >>> print(*Scope)
    ALL DRIFTED_TO_TARGET DRIFTED_TO_EDGE
    """

    ALL = "ALL"  # every security, to its target
    DRIFTED_TO_TARGET = "DRIFTED_TO_TARGET"  # only what is outside its band, to its target
    DRIFTED_TO_EDGE = "DRIFTED_TO_EDGE"  # only what is outside its band, just back inside


class OpenOrders(StrEnum):
    """Treatment of orders that were sent earlier and may be unfilled.

    >>> OpenOrders("COUNT")
    <OpenOrders.COUNT: 'COUNT'>
    """

    IGNORE = "IGNORE"
    COUNT = "COUNT"  # start from the holdings and cash that filled orders would leave


class BandRule(StrEnum):
    """Whether drift bands are hard limits, or yield by the least amount that admits a plan.

    >>> print(*BandRule)
    HARD YIELD
    """

    HARD = "HARD"
    YIELD = "YIELD"


@dataclass(frozen=True, slots=True)
class GroupBand:
    """Bounds on the total weight of several securities, as fractions of market value.

    ``low`` and ``high`` are numbers from 0 to 1. Raises RuleError for another number, a name of
    more than 100 characters or a group without a security, and OptionsConflictError for a low
    bound above the high one.

    >>> GroupBand("energy", {"XLE", "VDE"}, high=0.2).high
    Decimal('0.2')
    """

    name: str
    security_ids: frozenset[str]
    low: Decimal = Decimal(0)
    high: Decimal = Decimal(1)
    if TYPE_CHECKING:

        def __init__(
            self, name: str, security_ids: Iterable[str], low: Number = 0, high: Number = 1
        ) -> None: ...

    def __post_init__(self) -> None:
        for bound in ("low", "high"):
            value = read_decimal(getattr(self, bound), ("groups", self.name, bound))
            object.__setattr__(self, bound, value)
        object.__setattr__(self, "security_ids", frozenset(self.security_ids))
        if not 1 <= len(self.name) <= 100:
            raise RuleError(("groups", self.name, "name"), self.name, "1 to 100 characters")
        require_visible(("groups",), self.name)
        if not self.security_ids:
            raise RuleError(("groups", self.name, "security_ids"), [], "at least one security")
        require_range(("groups", self.name, "low"), self.low, 0, 1)
        require_range(("groups", self.name, "high"), self.high, 0, 1)
        if self.low > self.high:
            detail = (
                f"group {self.name} has the low bound {self.low:f} above the high {self.high:f}"
            )
            raise OptionsConflictError(detail, ("groups",))
