"""Sources of holdings: the protocol, and the retry for portfolios without an answer."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, runtime_checkable

import numpy as np
import stamina
from numpy.typing import NDArray

from optimization import ScaledColumn
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


HoldingsError = (
    HoldingsMissingError
    | OrdersPartlyFilledError
    | PricesMissingError
    | UpstreamContractError
    | UpstreamUnavailableError
)
"""Reason why a portfolio has no usable holdings."""
BalanceOrError = Balance | HoldingsError
"""Balance of a portfolio, or the error that stands in its place."""


@dataclass(frozen=True, slots=True, eq=False)
class HoldingsBlock:
    """Holdings of B portfolios as arrays: dense in n securities, usually a model's, else sparse.

    A row of ``errors`` has no usable holdings: its columns are 0, and it has no other holdings.
    """

    portfolio_ids: tuple[str, ...]  # (B,)
    cash: ScaledColumn  # (B,)
    quantities: ScaledColumn  # (B, n) shares
    other_rows: NDArray[np.int32]  # (K,) row, ascending
    other_securities: NDArray[np.int32]  # (K,) place in other_ids, ascending in each row
    other_quantities: ScaledColumn  # (K,) shares, never 0
    other_ids: tuple[str, ...]  # ascending, each held by a row
    errors: Mapping[int, HoldingsError]  # key: row


class HoldingsSource(Protocol):
    """Source of the holdings of portfolios."""

    async def read_holdings(self, portfolio_ids: Iterable[str]) -> Mapping[str, BalanceOrError]:
        """Read one entry per portfolio; UpstreamUnavailableError may fail them all."""
        ...


@runtime_checkable
class BlockSource(HoldingsSource, Protocol):
    """Source that decodes to arrays, without an object for each holding."""

    async def read_block(
        self, portfolio_ids: Sequence[str], security_ids: Sequence[str]
    ) -> HoldingsBlock:
        """Read distinct portfolios as a block, dense in these securities."""
        ...


class HoldingsService(HoldingsSource, Protocol):
    """Source that is a service."""

    async def check_health(self) -> UpstreamHealth:
        """Check whether the service is ready."""
        ...


class _IncompleteError(Exception):
    """Some portfolios have no complete answer, although the upstream is not down."""


async def fetch_holdings(
    source: HoldingsSource, portfolio_ids: Sequence[str], tries: int = 1
) -> Mapping[str, BalanceOrError]:
    """Read the balances of portfolios; incomplete answers are read up to ``tries`` times in all.

    Raises UpstreamUnavailableError if the upstream is down: it answers for no portfolio or its
    circuit is open. With a single try one portfolio without an answer suffices.
    """
    if tries == 1:  # because a context of retries costs a fifth of the read of a portfolio
        whole = await source.read_holdings(portfolio_ids)
        _list_incomplete(whole, tries)
        return whole
    balance_by_id: dict[str, BalanceOrError] = {}
    incomplete_ids = portfolio_ids
    with suppress(_IncompleteError):
        async for attempt in stamina.retry_context(
            _IncompleteError, attempts=tries, timeout=None, wait_initial=PAUSE_S, wait_jitter=0
        ):
            with attempt:
                balance_by_id |= await source.read_holdings(incomplete_ids)
                incomplete_ids = _list_incomplete(balance_by_id, tries)
                if incomplete_ids:
                    raise _IncompleteError
    return balance_by_id


def _list_incomplete(balance_by_id: Mapping[str, BalanceOrError], tries: int) -> Sequence[str]:
    """List the portfolios without a complete answer; raise the error if the upstream is down."""
    incomplete = {
        portfolio_id: error
        for portfolio_id, error in balance_by_id.items()
        if isinstance(error, PASSING)
    }
    for error in incomplete.values():
        if isinstance(error, AnswerCutShortError):
            continue
        if (
            tries == 1
            or len(incomplete) == len(balance_by_id)
            or isinstance(error, CircuitOpenError)
        ):
            raise error
    return tuple(incomplete)
