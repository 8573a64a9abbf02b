"""Optimizer: the deployment that rebalances, thin over runs."""

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cached_property

from ray import serve

from optimization.domain.model import Model
from optimization.domain.outcome import PortfolioOutcome
from optimization.drift import DriftSummary, PortfolioDrift
from serve_app.deadline import bounded, unbounded
from serve_app.deployments.handles import APPLICATION, announce
from serve_app.deployments.long_bodies import answered_elsewhere
from serve_app.observability.correlation import correlation_id
from serve_app.observability.logs import correlate_logs
from serve_app.observability.metrics import OBSERVERS
from serve_app.ports.optimize import GivenOptions, RawRequest, RawResponse
from serve_app.rebalances.direct import DirectRebalancer, Outcomes, Overrides
from serve_app.rebalances.drift import DriftMeter
from serve_app.rebalances.stateless import optimize_portfolios
from serve_app.resources import Resources, identify_holdings, open_resources
from serve_app.runs.chunk_tasks import warm_workers
from serve_app.runs.coordinator import Coordinator
from serve_app.runs.planner import Planner, now
from serve_app.settings import Settings
from serve_app.upstream.holdings.source import Balance
from serve_app.upstream.http_client import UpstreamHealth
from storage.idempotency_store import IdempotencyClaim
from storage.options import OwnOverrides
from storage.rebalance import Rebalance
from storage.run import HoldingsRef, Run, Selection

WARM_WORKERS = 2


class Optimizer:
    """Rebalances. Its methods are serve_app.api.dependencies.Optimizer, with the run's id given."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        correlate_logs()
        warm_workers(settings, WARM_WORKERS)
        # Serve makes a replica inside the event loop that its methods run in.
        self._watching = asyncio.get_running_loop().create_task(self._coordinator.watch())

    @cached_property
    def _with(self) -> Resources:
        return open_resources(self._settings, OBSERVERS)

    @cached_property
    def _runs(self) -> DirectRebalancer:
        return DirectRebalancer(self._settings, self._with, self._coordinator)

    @cached_property
    def _coordinator(self) -> Coordinator:
        return Coordinator(self._settings, self._with, announce=_announce)

    @cached_property
    def _drifts(self) -> DriftMeter:
        return DriftMeter(self._with)

    @bounded
    async def rebalance_model(
        self,
        rebalance_id: str,
        model_id: str,
        options: Overrides,
        correlated: str,
        claim: IdempotencyClaim | None = None,
    ) -> Outcomes:
        """Rebalance every portfolio that follows a model."""
        correlation_id.set(correlated)
        model = await self._with.models.read(model_id)
        return await self._runs.rebalance(rebalance_id, model, model.portfolio_ids, options, claim)

    @bounded
    async def rebalance_portfolio(
        self,
        rebalance_id: str,
        portfolio_id: str,
        model_id: str | None,
        options: Overrides,
        correlated: str,
        claim: IdempotencyClaim | None = None,
    ) -> tuple[Rebalance, PortfolioOutcome]:
        """Rebalance one portfolio to the named model, or to the newest that it follows."""
        correlation_id.set(correlated)
        model = await self._with.models.followed_by(portfolio_id, model_id)
        alone = (portfolio_id,)
        run, outcomes = await self._runs.rebalance(
            rebalance_id, model, alone, options, claim, alone=True
        )
        return run, outcomes[0]

    @bounded
    async def preview_model(self, model_id: str, options: Overrides, correlated: str) -> Outcomes:
        """What a rebalance of the model would answer; nothing is stored."""
        correlation_id.set(correlated)
        model = await self._with.models.read(model_id)
        return await self._runs.preview(model, model.portfolio_ids, options)

    @bounded
    async def preview_portfolio(
        self, portfolio_id: str, model_id: str | None, options: Overrides, correlated: str
    ) -> tuple[Rebalance, PortfolioOutcome]:
        """What a rebalance of the portfolio would answer; nothing is stored."""
        correlation_id.set(correlated)
        model = await self._with.models.followed_by(portfolio_id, model_id)
        run, outcomes = await self._runs.preview(model, (portfolio_id,), options, alone=True)
        return run, outcomes[0]

    @bounded
    async def optimize(
        self,
        model: Model,
        balances: Sequence[Balance],
        prices: Mapping[str, Decimal],
        options: GivenOptions,
        correlated: str,
    ) -> tuple[PortfolioOutcome, ...]:
        """What becomes of portfolios that are given whole; opens neither database nor upstream."""
        correlation_id.set(correlated)
        limit_s = self._settings.optimization_timeout
        return await optimize_portfolios(model, balances, prices, options, self._settings, limit_s)

    @bounded
    async def optimize_text(self, given: RawRequest, correlated: str) -> RawResponse:
        """The same for a long text, which a worker process reads and answers."""
        correlation_id.set(correlated)
        return await answered_elsewhere(given, self._settings)

    @bounded
    async def portfolio_drift(
        self, portfolio_id: str, model_id: str | None, correlated: str
    ) -> tuple[Model, PortfolioDrift]:
        """Where a portfolio stands against the named model, or the newest that it follows."""
        correlation_id.set(correlated)
        return await self._drifts.of_portfolio(portfolio_id, model_id)

    @bounded
    async def model_drift(
        self, model_id: str, offset: int, limit: int, correlated: str
    ) -> tuple[tuple[DriftSummary, ...], int]:
        """A page of the portfolios of a model and the number of all."""
        correlation_id.set(correlated)
        return await self._drifts.of_model(model_id, offset, limit)

    @bounded
    async def settled(self, rebalance_id: str) -> Outcomes | None:
        """What a run made before its answer was lost; one that is under way is waited for."""
        return await self._runs.settled(rebalance_id)

    @bounded
    async def begin_run(
        self,
        run_id: str,
        selection: Selection,
        options: Overrides,
        own: OwnOverrides,
        holdings: HoldingsRef | None,
        correlated: str,
        claim: IdempotencyClaim | None = None,
    ) -> Run:
        """Begin a run over a book; it goes on by itself, here or in another replica."""
        correlation_id.set(correlated)
        await Planner(self._settings, self._with).check(selection, options or {}, own)
        run = Run(
            run_id=run_id,
            selection=selection,
            overrides=options or {},
            overrides_by_portfolio=own,
            holdings=identify_holdings(
                self._settings, holdings or HoldingsRef(self._settings.holdings_source)
            ),
            created_at=now(),
            correlation_id=correlated,
        )
        with unbounded():
            return await self._coordinator.begin(run, claim)

    async def look_at(self, run_id: str) -> None:
        """Look at once whether a run was cancelled, if it is worked on here."""
        self._coordinator.look_at(run_id)

    @bounded
    async def upstream_health(self, upstream: str) -> UpstreamHealth:
        """Ask an upstream that a rebalance needs whether it is well."""
        asked = {
            "accounting": self._with.holdings,
            "pricing": self._with.prices,
            "security": self._with.securities,
        }
        return await asked[upstream].health()


async def _announce(run_id: str) -> None:
    """Let the replica that works on a run look at it; it may be another one."""
    await announce(serve.get_deployment_handle("Optimizer", APPLICATION), run_id)
