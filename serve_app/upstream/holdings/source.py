"""What every source of holdings answers."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from optimization.errors import PricesMissingError
from serve_app.upstream.errors import (
    PASSING,
    AnswerCutShortError,
    CircuitOpenError,
    HoldingsMissingError,
    OrdersPartlyFilledError,
    UpstreamContractError,
    UpstreamUnavailableError,
)
from serve_app.upstream.http_client import UpstreamHealth

PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class Balance:
    """Cash and shares by security id; fractions, debts and short positions are ordinary."""

    portfolio_id: str
    cash: Decimal
    holdings: Mapping[str, Decimal]


Found = (
    Balance
    | HoldingsMissingError
    | OrdersPartlyFilledError
    | PricesMissingError
    | UpstreamContractError
    | UpstreamUnavailableError
)
"""A balance, or why there is none of this one portfolio."""


class HoldingsSource(Protocol):
    """Where the holdings of portfolios come from."""

    async def holdings(self, portfolio_ids: Iterable[str]) -> Mapping[str, Found]:
        """One entry per portfolio. May raise UpstreamUnavailableError for all."""
        ...


class HoldingsService(HoldingsSource, Protocol):
    """A source that is a service."""

    async def health(self) -> UpstreamHealth:
        """Ask whether the service is ready."""
        ...


async def held_by(
    source: HoldingsSource, portfolio_ids: Sequence[str], tries: int = 1
) -> Mapping[str, Found]:
    """The balances of portfolios; those without a whole answer are asked for again, ``tries`` times in all.

    Raises UpstreamUnavailableError where the upstream is down, which is where it answered for nobody or
    its circuit is open; with a single try, where it had no answer for one of them.
    """
    found = dict(await source.holdings(portfolio_ids))
    for number in range(1, tries + 1):
        left = {one: e for one, e in found.items() if isinstance(e, PASSING)}
        for error in left.values():
            if isinstance(error, AnswerCutShortError):
                continue
            if tries == 1 or len(left) == len(found) or isinstance(error, CircuitOpenError):
                raise error
        if not left or number == tries:
            break
        await asyncio.sleep(number * PAUSE_S)
        found |= await source.holdings(tuple(left))
    return found
