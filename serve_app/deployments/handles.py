"""Typed callers of the deployments, for the ingress and for Python in the cluster alike.

    store, optimizer = connect()
    run, outcomes = await optimizer.rebalance_model(model_id, None, "nightly")

Errors of a deployment arrive as themselves. Serve does not repeat a call whose replica died: here it is
repeated where that changes nothing, which the run's id, made here, ensures for a rebalance.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, cast

from ray import serve
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.serve.exceptions import DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle, DeploymentResponse

from optimization.domain.model import Model
from optimization.domain.outcome import PortfolioOutcome
from optimization.drift import DriftSummary, PortfolioDrift
from serve_app.api.dependencies import ModelStore
from serve_app.api.dependencies import Optimizer as OptimizerCalls
from serve_app.deadline import sendable_s
from serve_app.ports.optimize import GivenOptions, RawRequest, RawResponse
from serve_app.upstream.holdings.source import Balance
from serve_app.upstream.http_client import UpstreamHealth
from storage.idempotency_store import IdempotencyClaim
from storage.options import OwnOverrides
from storage.rebalance import Rebalance, new_rebalance_id
from storage.run import HoldingsRef, Run, Selection

APPLICATION = "order-generation"
TRIES = 3
HEARD_WITHIN_S = 1.0
REPEATABLE = frozenset(
    {
        "read",
        "page",
        "runs",
        "runs_of",
        "run",
        "outcomes",
        "outcomes_of",
        "outcomes_among",
        "outcome",
        "ping",
    }
    | {"upstream_health"}
    | {
        "preview_model",
        "preview_portfolio",
        "optimize",
        "optimize_text",
        "portfolio_drift",
        "model_drift",
    }
    | {"handed_over", "portfolio_names"}
    | {"book_run", "book_runs", "cancel_book_run", "run_parts", "run_part_ids"}
    | {"run_events", "run_errors"}
    | {"claim", "complete", "release"}  # they name their owner
    | {"begin_run"}  # every attempt has the same id: the run is begun once
)

Call = Callable[..., Awaitable[Any]]


def connect() -> tuple[ModelStore, OptimizerCalls]:
    """The deployments of the running application, from any process of the cluster.

    A process calls them from one event loop, an actor's for instance: Serve ties handles to the first.
    """
    return (
        model_store(serve.get_deployment_handle("ModelStore", APPLICATION)),
        Optimizer(serve.get_deployment_handle("Optimizer", APPLICATION)),
    )


def model_store(handle: DeploymentHandle[Any]) -> ModelStore:
    """The deployment as what it is: the protocol is the class's own methods."""
    return cast("ModelStore", _Remote(handle))


class Optimizer:
    """The Optimizer deployment; a run whose replica died is taken up again under its own id."""

    def __init__(self, handle: DeploymentHandle[Any]) -> None:
        self._handle = handle
        self._remote = _Remote(handle, is_bounded=True)

    async def rebalance_model(
        self,
        model_id: str,
        options: Mapping[str, Any] | None,
        correlation_id: str,
        claim: IdempotencyClaim | None = None,
    ) -> tuple[Rebalance, tuple[PortfolioOutcome, ...]]:
        """Rebalance every portfolio that follows a model."""
        return await self._once_completed(
            lambda run: self._remote.rebalance_model(run, model_id, options, correlation_id, claim)
        )

    async def rebalance_portfolio(
        self,
        portfolio_id: str,
        model_id: str | None,
        options: Mapping[str, Any] | None,
        correlation_id: str,
        claim: IdempotencyClaim | None = None,
    ) -> tuple[Rebalance, PortfolioOutcome]:
        """Rebalance one portfolio to the named model, or to the newest that it follows."""
        run, outcome = await self._once_completed(
            lambda run: self._remote.rebalance_portfolio(
                run, portfolio_id, model_id, options, correlation_id, claim
            )
        )
        return run, outcome[0] if isinstance(outcome, tuple) else outcome

    async def preview_model(
        self, model_id: str, options: Mapping[str, Any] | None, correlation_id: str
    ) -> tuple[Rebalance, tuple[PortfolioOutcome, ...]]:
        """What a rebalance of the model would answer; nothing is stored."""
        return await self._remote.preview_model(model_id, options, correlation_id)

    async def preview_portfolio(
        self,
        portfolio_id: str,
        model_id: str | None,
        options: Mapping[str, Any] | None,
        correlation_id: str,
    ) -> tuple[Rebalance, PortfolioOutcome]:
        """What a rebalance of the portfolio would answer; nothing is stored."""
        return await self._remote.preview_portfolio(portfolio_id, model_id, options, correlation_id)

    async def optimize(
        self,
        model: Model,
        balances: Sequence[Balance],
        prices: Mapping[str, Decimal],
        options: GivenOptions,
        correlation_id: str,
    ) -> tuple[PortfolioOutcome, ...]:
        """What becomes of portfolios that are given whole; asks neither database nor upstream."""
        return await self._remote.optimize(model, balances, prices, options, correlation_id)

    async def optimize_text(self, given: RawRequest, correlation_id: str) -> RawResponse:
        """The same from the text of a request to that of its answer."""
        return await self._remote.optimize_text(given, correlation_id)

    async def portfolio_drift(
        self, portfolio_id: str, model_id: str | None, correlation_id: str
    ) -> tuple[Model, PortfolioDrift]:
        """Where a portfolio stands against the named model, or the newest that it follows."""
        return await self._remote.portfolio_drift(portfolio_id, model_id, correlation_id)

    async def model_drift(
        self, model_id: str, offset: int, limit: int, correlation_id: str
    ) -> tuple[tuple[DriftSummary, ...], int]:
        """One page of the portfolios that follow a model, and how many there are."""
        return await self._remote.model_drift(model_id, offset, limit, correlation_id)

    async def begin_run(
        self,
        selection: Selection,
        options: Mapping[str, Any] | None,
        own: OwnOverrides,
        holdings: HoldingsRef | None,
        correlation_id: str,
        claim: IdempotencyClaim | None = None,
    ) -> Run:
        """Begin a run over a book; it goes on by itself."""
        return await self._remote.begin_run(
            new_rebalance_id(), selection, options, own, holdings, correlation_id, claim
        )

    async def announce(self, run_id: str) -> None:
        """Let the replica that works on a run look at once where it stands in the database."""
        await announce(self._handle, run_id)

    async def upstream_health(self, upstream: str) -> UpstreamHealth:
        """Ask an upstream that a rebalance needs whether it is well."""
        return await self._remote.upstream_health(upstream)

    async def _once_completed(self, rebalance: Callable[[str], Awaitable[Any]]) -> Any:
        for attempt in range(TRIES):
            rebalance_id = new_rebalance_id()
            try:
                return await rebalance(rebalance_id)
            except RayActorError:
                made = await self._remote.settled(rebalance_id)
                if made is not None:
                    return made
                if attempt == TRIES - 1:
                    raise
        raise AssertionError


async def announce(handle: DeploymentHandle[Any], run_id: str) -> None:
    """Tell every replica of the Optimizer that the status of a run has changed.

    A replica that does not hear of it learns the same from the database a little later.
    """
    with suppress(TimeoutError, RayError, DeploymentUnavailableError):
        heard = handle.broadcast("look_at", run_id)
        await heard.results_async(timeout_s=HEARD_WITHIN_S, return_exceptions=True)


class _Remote:
    """Any method of a deployment as a coroutine function.

    The methods of one that is bounded are ``serve_app.deadline.bounded``.
    """

    def __init__(self, handle: DeploymentHandle[Any], *, is_bounded: bool = False) -> None:
        self._handle = handle
        self._is_bounded = is_bounded

    def __getattr__(self, method: str) -> Call:
        async def call(*args: Any) -> Any:
            for attempt in range(TRIES):
                seconds = sendable_s() if self._is_bounded else None
                bound = {} if seconds is None else {"within_s": seconds}
                try:
                    return await _answer(getattr(self._handle, method).remote(*args, **bound))
                except RayTaskError as error:
                    raise cast("Exception", error.cause) from None
                except RayActorError:
                    if method not in REPEATABLE or attempt == TRIES - 1:
                        raise
            raise AssertionError

        return call


async def _answer(response: DeploymentResponse[Any]) -> Any:
    """The answer of a replica; whoever stops waiting for it ends the call there, too."""
    try:
        return await response
    except asyncio.CancelledError:
        response.cancel()
        raise
