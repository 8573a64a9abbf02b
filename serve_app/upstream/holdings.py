"""What every source of holdings answers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from serve_app.upstream.errors import HoldingsMissingError, UpstreamContractError


@dataclass(frozen=True, slots=True)
class Balance:
    """Cash and shares by security id; fractions, debts and short positions are ordinary."""

    portfolio_id: str
    cash: Decimal
    holdings: Mapping[str, Decimal]


Found = Balance | HoldingsMissingError | UpstreamContractError
"""A balance, or why this one portfolio has none."""


class HoldingsSource(Protocol):
    """Where the holdings of portfolios come from."""

    async def holdings(self, portfolio_ids: Iterable[str]) -> Mapping[str, Found]:
        """One entry per portfolio; raises UpstreamUnavailableError for all where nothing answers."""
        ...

    async def reachable(self) -> None:
        """Raise if the source is not ready."""
        ...
