"""OptimizerDeployment: the deployment that rebalances, thin over runs."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import final

from optimization import (
    DriftSummary,
    Model,
    OptionOverrides,
    PortfolioDrift,
    PortfolioOutcome,
    load_solver,
)
from serve_app.api.responses import write_outcomes
from serve_app.api.schemas.optimize import GivenOptions
from serve_app.call_context import correlation_id, lift_deadline, principal, require_caller
from serve_app.chunks.fetch import identify_holdings
from serve_app.deployments.handles import connect_optimizer, reach, serves
from serve_app.deployments.long_bodies import answer_in_workers
from serve_app.deployments.uploads import answer_upload_in_worker
from serve_app.observability.logs import correlate_logs
from serve_app.observability.metrics import OBSERVERS
from serve_app.observability.traces import start_traces
from serve_app.ports.optimize import RawRequest, RawResponse, Upload
from serve_app.ports.optimizer import Optimizer
from serve_app.ports.rebalances import (
    Outcomes,
    Rebalanced,
    RebalanceModel,
    RebalancePortfolio,
)
from serve_app.ports.runs import BeginRun
from serve_app.rebalances.direct import DirectRebalancer, OpenOutcomeRunner
from serve_app.rebalances.drift import DriftMeter
from serve_app.rebalances.drift_scans import DriftScanner
from serve_app.rebalances.stateless import optimize_portfolios
from serve_app.resources import Resources, open_resources
from serve_app.runs.chunk_tasks import open_task_runner, warm_workers
from serve_app.runs.coordinator import Coordinator
from serve_app.runs.planner import Planner
from serve_app.settings import Settings
from serve_app.upstream.holdings.source import Balance
from serve_app.upstream.http_client import UpstreamHealth
from serve_app.upstream.securities import find_tickers
from storage.drift.scan import DriftScan
from storage.mongo.decimal_codec import now
from storage.rebalances.rebalance import Rebalance
from storage.runs.run import HoldingsRef, Run

WARM_WORKERS = 2


@dataclass(frozen=True, slots=True)
class OptimizerParts:
    """Parts of the optimizer, in one process and its event loop."""

    resources: Resources
    coordinator: Coordinator
    answer_text: Callable[[RawRequest, Settings], Awaitable[RawResponse]]
    open_runner: OpenOutcomeRunner  # of direct rebalances
    scanner: DriftScanner
    watching: asyncio.Task[None] | None = None  # kept, because nothing else refers to the task
    answer_upload: Callable[[Upload, Settings], Awaitable[RawResponse]] = answer_upload_in_worker


def open_optimizer(settings: Settings) -> OptimizerParts:
    """Open the parts of a replica, in the event loop of its methods."""
    load_solver()  # otherwise the first search would wait for it
    correlate_logs()
    start_traces(settings)
    warm_workers(settings, WARM_WORKERS, write_outcomes)
    resources = open_resources(settings, OBSERVERS)
    # The coordinator announces to every replica, because any of them may work on the run.
    every_replica = connect_optimizer()
    coordinator = Coordinator(settings, resources, announce=every_replica.check_cancellation)
    scanner = DriftScanner(settings, resources)
    watching = asyncio.get_running_loop().create_task(_watch(coordinator, scanner, every_replica))
    open_runner = partial(open_task_runner, write=write_outcomes)
    return OptimizerParts(resources, coordinator, answer_in_workers, open_runner, scanner, watching)


async def _watch(coordinator: Coordinator, scanner: DriftScanner, replicas: Optimizer) -> None:
    await asyncio.gather(coordinator.watch(), scanner.watch(), reach(replicas))


@final  # so that the type checker reports a method of the port that it lacks
@serves(Optimizer)
class OptimizerDeployment(Optimizer):
    """Direct rebalances, drift reports, and the start of runs and drift scans over a book."""

    def __init__(
        self, settings: Settings, open_parts: Callable[[Settings], OptimizerParts]
    ) -> None:
        self._settings = settings
        self._parts = open_parts(settings)  # here, because Serve makes it in its event loop
        self._resources = self._parts.resources
        self._coordinator = self._parts.coordinator
        self._rebalancer = DirectRebalancer(
            settings, self._resources, self._coordinator, self._parts.open_runner
        )
        self._drift_meter = DriftMeter(self._resources)

    async def rebalance_model(self, command: RebalanceModel) -> Rebalanced:
        """Rebalance every portfolio that follows a model."""
        model = await self._resources.models.read(command.model_id)
        require_caller()
        return await self._rebalancer.rebalance_model(
            command.rebalance_id, model, command.overrides, command.claim
        )

    async def rebalance_portfolio(
        self, command: RebalancePortfolio
    ) -> tuple[Rebalance, PortfolioOutcome]:
        """Rebalance one portfolio to the named model, or to the newest that it follows."""
        model = await self._resources.models.find_followed(command.portfolio_id, command.model_id)
        require_caller()
        rebalance, outcomes = await self._rebalancer.rebalance_portfolio(
            command.rebalance_id,
            model,
            command.portfolio_id,
            command.overrides,
            command.claim,
        )
        return rebalance, outcomes[0]

    async def preview_model(self, model_id: str, overrides: OptionOverrides) -> Rebalanced:
        """Return the outcomes of a rebalance of the model without storing them."""
        model = await self._resources.models.read(model_id)
        require_caller()
        return await self._rebalancer.preview_model(model, overrides)

    async def try_model(self, model: Model, overrides: OptionOverrides) -> Outcomes:
        """Return the outcomes of a rebalance to a model that need not be stored."""
        require_caller()
        return await self._rebalancer.try_model(model, overrides)

    async def preview_portfolio(
        self, portfolio_id: str, model_id: str | None, overrides: OptionOverrides
    ) -> tuple[Rebalance, PortfolioOutcome]:
        """Return the outcome of a rebalance of the portfolio without storing it."""
        model = await self._resources.models.find_followed(portfolio_id, model_id)
        require_caller()
        rebalance, outcomes = await self._rebalancer.preview_portfolio(
            model, portfolio_id, overrides
        )
        return rebalance, outcomes[0]

    async def read_completed(self, rebalance_id: str) -> Outcomes | None:
        """Return the outcomes of a rebalance whose answer was lost; wait while it is under way."""
        return await self._rebalancer.read_completed(rebalance_id)

    async def optimize(
        self,
        model: Model,
        balances: Sequence[Balance],
        prices: Mapping[str, Decimal],
        options: GivenOptions,
    ) -> tuple[PortfolioOutcome, ...]:
        """Rebalance the portfolios of a request; ask neither database nor upstream."""
        limit_s = self._settings.optimization_timeout
        return await optimize_portfolios(model, balances, prices, options, limit_s, self._settings)

    async def optimize_text(self, raw_request: RawRequest) -> RawResponse:
        """Rebalance the portfolios of a long text, which a worker process reads and answers."""
        return await self._parts.answer_text(raw_request, self._settings)

    async def optimize_upload(self, upload: Upload) -> RawResponse:
        """Rebalance the portfolios of tables, which a worker process reads and answers."""
        return await self._parts.answer_upload(upload, self._settings)

    async def measure_portfolio(
        self, portfolio_id: str, model_id: str | None
    ) -> tuple[Model, PortfolioDrift]:
        """Measure a portfolio against the named model, or against the newest that it follows."""
        return await self._drift_meter.measure_portfolio(portfolio_id, model_id)

    async def measure_portfolios(
        self, model_id: str, offset: int, limit: int
    ) -> tuple[tuple[DriftSummary, ...], int]:
        """Measure one page of the portfolios of a model; also return the number of all."""
        return await self._drift_meter.measure_portfolios(model_id, offset, limit)

    async def begin_drift_scan(self, scan_id: str) -> DriftScan:
        """Begin to measure the book; the scan goes on by itself, here or in another replica."""
        scan = DriftScan(scan_id, now(), correlation_id.get(), principal.get() or None)
        with lift_deadline():
            return await self._parts.scanner.begin(scan)

    async def begin_run(self, command: BeginRun) -> Run:
        """Begin a run over a book; it continues on its own, here or in another replica."""
        overrides, own = command.overrides, command.overrides_by_portfolio
        await Planner(self._settings, self._resources).check(command.selection, overrides, own)
        holdings = command.holdings or HoldingsRef(self._settings.holdings_source)
        run = Run(
            run_id=command.run_id,
            selection=command.selection,
            overrides=overrides,
            overrides_by_portfolio=own,
            holdings=identify_holdings(self._settings, holdings),
            created_at=now(),
            correlation_id=correlation_id.get(),
            begun_by=principal.get() or None,
            retry_of=command.retry_of,
        )
        with lift_deadline():
            return await self._coordinator.begin(run, command.claim)

    async def check_cancellation(self, run_id: str) -> None:
        """Check at once whether a run was cancelled, if this replica works on it."""
        self._coordinator.check_cancellation(run_id)

    async def answer(self) -> None:
        """Return at once."""

    async def name_securities(self, security_ids: tuple[str, ...]) -> Mapping[str, str | None]:
        """Return tickers of securities; None if the security service has no answer."""
        return await find_tickers(self._resources.securities, security_ids)

    async def find_securities(self, ticker: str) -> tuple[str, ...]:
        """Return the ids of the securities with this ticker, in any case of its letters."""
        return await self._resources.securities.find_ids(ticker)

    async def check_upstream(self, upstream: str) -> UpstreamHealth:
        """Ask an upstream that a rebalance needs for its health."""
        checked = {
            "accounting": self._resources.holdings,
            "pricing": self._resources.prices,
            "security": self._resources.securities,
        }
        return await checked[upstream].check_health()
