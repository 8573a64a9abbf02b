"""Sources of holdings: their protocol, and the retry for portfolios without an answer."""

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


class _IncompleteError(Exception):
    """Portfolios had no whole answer, though their upstream is not down."""


async def held_by(
    source: HoldingsSource, portfolio_ids: Sequence[str], tries: int = 1
) -> Mapping[str, Found]:
    """The balances of portfolios; those without a whole answer are asked for again, ``tries`` times in all.

    Raises UpstreamUnavailableError where the upstream is down, which is where it answered for nobody or
    its circuit is open; with a single try, where it had no answer for one of them.
    """
    found: dict[str, Found] = {}
    left = portfolio_ids
    with suppress(_IncompleteError):
        async for attempt in stamina.retry_context(
            _IncompleteError, attempts=tries, timeout=None, wait_initial=PAUSE_S, wait_jitter=0
        ):
            with attempt:
                found |= await source.holdings(left)
                left = _left_of(found, tries)
                if left:
                    raise _IncompleteError
    return found


def _left_of(found: Mapping[str, Found], tries: int) -> Sequence[str]:
    """The portfolios without a whole answer; raises the error of an upstream that is down."""
    left = {each: error for each, error in found.items() if isinstance(error, PASSING)}
    for error in left.values():
        if isinstance(error, AnswerCutShortError):
            continue
        if tries == 1 or len(left) == len(found) or isinstance(error, CircuitOpenError):
            raise error
    return tuple(left)
