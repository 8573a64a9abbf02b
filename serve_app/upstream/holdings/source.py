"""Sources of holdings: the protocol, and the retry for portfolios without an answer."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

import stamina

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
    """Cash and shares by security id; fractions, debts and short positions are valid."""

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
"""Balance of a portfolio, or the error that stands in its place."""


class HoldingsSource(Protocol):
    """Source of the holdings of portfolios."""

    async def holdings(self, portfolio_ids: Iterable[str]) -> Mapping[str, Found]:
        """Read one entry per portfolio; UpstreamUnavailableError may fail them all."""
        ...


class HoldingsService(HoldingsSource, Protocol):
    """Source that is a service."""

    async def health(self) -> UpstreamHealth:
        """Check whether the service is ready."""
        ...


class _IncompleteError(Exception):
    """Some portfolios have no complete answer, although the upstream is not down."""


async def held_by(
    source: HoldingsSource, portfolio_ids: Sequence[str], tries: int = 1
) -> Mapping[str, Found]:
    """Read the balances of portfolios; incomplete answers are read up to ``tries`` times in all.

    Raises UpstreamUnavailableError if the upstream is down: it answers for no portfolio or its
    circuit is open. With a single try one portfolio without an answer suffices.
    """
    found: dict[str, Found] = {}
    left = portfolio_ids
    with suppress(_IncompleteError):
        async for attempt in stamina.retry_context(
            _IncompleteError, attempts=tries, timeout=None, wait_initial=PAUSE_S, wait_jitter=0
        ):
            with attempt:
                found |= await source.holdings(left)
                left = _incomplete(found, tries)
                if left:
                    raise _IncompleteError
    return found


def _incomplete(found: Mapping[str, Found], tries: int) -> Sequence[str]:
    """List the portfolios without a complete answer; raise the error if the upstream is down."""
    left = {each: error for each, error in found.items() if isinstance(error, PASSING)}
    for error in left.values():
        if isinstance(error, AnswerCutShortError):
            continue
        if tries == 1 or len(left) == len(found) or isinstance(error, CircuitOpenError):
            raise error
    return tuple(left)
