"""Portfolio: what is owned, at one price snapshot."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from optimization.errors import PricesMissingError, RuleError
from optimization.units import EXACT


@dataclass(frozen=True, slots=True)
class Portfolio:
    """Cash, holdings in shares (fractional or negative ones too) and the prices they are valued at.

    ``prices`` may hold more securities than are held: one snapshot serves a whole run. Holdings of
    zero shares are dropped.

    >>> Portfolio("P" * 24, Decimal(100), {"A" * 24: Decimal(3)}, {"A" * 24: Decimal("2.5")}).market_value
    Decimal('107.5')
    """

    portfolio_id: str
    cash: Decimal
    holdings: Mapping[str, Decimal]
    prices: Mapping[str, Decimal]
    market_value: Decimal = field(init=False, compare=False)  # cash and all holdings, exact

    def __post_init__(self) -> None:
        held = {security: shares for security, shares in self.holdings.items() if shares != 0}
        object.__setattr__(self, "holdings", held)
        if not self.cash.is_finite():
            raise RuleError(("cash",), self.cash, "cash is a finite amount")
        missing = tuple(sorted(security for security in held if security not in self.prices))
        if missing:
            raise PricesMissingError(missing)
        for security, shares in held.items():
            if not shares.is_finite():
                raise RuleError(("holdings", security), shares, "a holding is a finite number")
            require_price(security, self.prices[security])
        total = self.cash
        for security, shares in held.items():
            total = EXACT.fma(shares, self.prices[security], total)
        object.__setattr__(self, "market_value", total)


def require_price(security_id: str, price: Decimal) -> None:
    """Refuse a price that is not a positive amount."""
    if not (price.is_finite() and price > 0):
        raise RuleError(("prices", security_id), price, "a price is greater than 0")
