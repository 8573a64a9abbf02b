"""WholeHoldings: whole shares of a portfolio, which can share arrays with others."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import repeat

from optimization.domain.portfolio import OtherTargets, Portfolio, PricedTarget

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class WholeHoldings:
    """Holdings without a fraction of a share: those of a model, and the securities of the others.

    >>> funds, prices = ["A" * 24, "B" * 24], {"A" * 24: Decimal(10), "GOLD": Decimal(61)}
    >>> held = Portfolio("P" * 24, 0, {"A" * 24: Decimal("3.00"), "GOLD": Decimal(2)}, prices)
    >>> found = WholeHoldings.of(held, funds, OtherTargets(()))
    >>> found.shares
    (3, 0)
    """

    shares: tuple[int, ...]  # of each security of the model
    others: tuple[PricedTarget, ...]  # held outside the model, by id

    @classmethod
    def of(
        cls, portfolio: Portfolio, model_ids: Sequence[str], others: OtherTargets
    ) -> "WholeHoldings | None":
        """Convert the holdings of a portfolio; None if one is a fraction of a share."""
        holdings = portfolio.holdings
        held = list(map(holdings.get, model_ids, repeat(ZERO)))
        shares = list(map(int, held))
        if shares != held:
            return None
        if len(shares) - shares.count(0) == len(holdings):
            return cls(tuple(shares), ())
        outside = others.of(portfolio)
        quantities = [holdings[one.security_id] for one in outside]
        if quantities != list(map(int, quantities)):
            return None
        return cls(tuple(shares), outside)
