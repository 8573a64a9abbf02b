"""The real optimizer in this process, on the real database and tiny fake upstreams."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

from ray.exceptions import TaskCancelledError

from optimization import MODEL_RULES
from serve_app.api.responses import write_outcomes
from serve_app.chunks.work import RebalanceInput
from serve_app.deployments.handles import connect
from serve_app.deployments.long_bodies import answer_text
from serve_app.deployments.optimizer import OptimizerDeployment, OptimizerParts
from serve_app.deployments.uploads import answer_upload
from serve_app.ports.optimizer import Optimizer
from serve_app.ports.rebalances import RemoteElements, WriteOutcomes
from serve_app.rebalances.drift import measure_followers
from serve_app.rebalances.drift_scans import DriftScanner
from serve_app.rebalances.drift_tasks import Measure
from serve_app.resources import Resources
from serve_app.runs.chunk_tasks import RecordedChunk, preview_chunk, record_chunk
from serve_app.runs.chunk_texts import ChunkPreview, ChunkTexts, Preview, join_previews
from serve_app.runs.coordinator import Coordinator
from serve_app.settings import Settings
from serve_app.upstream.errors import HoldingsMissingError, UpstreamUnavailableError
from serve_app.upstream.holdings.source import Balance, BalanceOrError
from serve_app.upstream.prices import PriceSnapshot
from storage.runs.chunk_store import Chunk, Report
from tests.support.fakes import PRICE, A, B, P, Q, build_resources
from tests.support.local_handle import Handle


@dataclass
class Upstreams:
    """Fake of all upstreams: ids equal tickers; ``down`` names an upstream that fails."""

    prices: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    balances: dict[str, BalanceOrError] = field(default_factory=dict[str, BalanceOrError])
    down: str = ""

    async def read_snapshot(self) -> PriceSnapshot:
        self._require("pricing")
        return PriceSnapshot("now", datetime.now(UTC), self.prices)

    async def read_tickers(self, security_ids: Iterable[str]) -> Mapping[str, str]:
        self._require("security")
        return {security_id: security_id for security_id in security_ids}

    async def find_ids(self, ticker: str) -> tuple[str, ...]:
        self._require("security")
        return (ticker.upper(),)

    async def read_holdings(self, portfolio_ids: Iterable[str]) -> Mapping[str, BalanceOrError]:
        self._require("accounting")
        return {
            portfolio_id: self.balances.get(portfolio_id) or HoldingsMissingError(portfolio_id)
            for portfolio_id in portfolio_ids
        }

    def set_balance(self, portfolio_id: str, cash: object, **shares: object) -> None:
        holdings = {security: Decimal(str(count)) for security, count in shares.items()}
        self.balances[portfolio_id] = Balance(portfolio_id, Decimal(str(cash)), holdings)

    def _require(self, upstream: str) -> None:
        if self.down == upstream:
            raise UpstreamUnavailableError(upstream, "no answer", 1.0)


def make_two_owners() -> Upstreams:
    """Build upstreams at which P holds two shares of A, and Q three of B."""
    world = Upstreams({A: PRICE, B: PRICE})
    world.set_balance(P, 1000, **{A: 2})
    world.set_balance(Q, 500, **{B: 3})
    return world


@dataclass
class Gate(Upstreams):
    """Upstreams that give holdings once the gate is open.

    A cancelled call ends once it may, by default at once. With ``trouble`` the call ends with an
    error, like a call that failed before the cancellation reached it.
    """

    open: asyncio.Event = field(default_factory=asyncio.Event)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    ends: asyncio.Event = field(default_factory=asyncio.Event)
    trouble: Exception | None = None

    def __post_init__(self) -> None:
        self.ends.set()

    async def read_holdings(self, portfolio_ids: Iterable[str]) -> Mapping[str, BalanceOrError]:
        self.reached.set()
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            await self.ends.wait()
            if self.trouble is not None:
                raise self.trouble from None
            raise
        return await super().read_holdings(portfolio_ids)


@dataclass(frozen=True)
class LocalText:
    """RemoteText in this process."""

    text: bytes

    async def read(self) -> memoryview:
        return memoryview(self.text)


class LocalRunner:
    """Runner of chunks in this process instead of in Ray tasks."""

    def __init__(
        self, settings: Settings, resources: Resources, write: WriteOutcomes | None = None
    ) -> None:
        self._settings = settings
        self._resources = resources
        self._write = write
        self._texts = ChunkTexts()
        self._going: set[asyncio.Task[RecordedChunk | None]] = set()

    async def count_at_a_time(self) -> int:
        return self._settings.run_window

    async def run(self, shared: RebalanceInput, chunk: Chunk) -> Report | None:
        recording = record_chunk(shared, chunk, self._resources, self._write)
        task = asyncio.create_task(recording)
        self._going.add(task)
        try:
            recorded = await task
        except asyncio.CancelledError:
            if not task.cancelled():
                raise
            raise TaskCancelledError from None
        finally:
            self._going.discard(task)
        if recorded is None:
            return None
        if (written := recorded.written_outcomes) is not None:
            has_plans = not written.are_refused
            self._texts.add(chunk, LocalText(written.text), has_plans=has_plans)
        return recorded.report

    def elements(self, portfolios: int) -> RemoteElements | None:
        return self._texts.elements(portfolios)

    async def preview(self, shared: RebalanceInput, whole: Chunk) -> Preview:
        assert self._write is not None
        previews, texts = list[ChunkPreview](), list[LocalText]()
        ids, size = whole.portfolio_ids, self._settings.run_chunk_size
        for first in range(0, len(ids), size):
            part = Chunk(whole.rebalance_id, first, ids[first : first + size])
            preview, text = await preview_chunk(shared, part, self._resources, self._write)
            previews.append(preview)
            texts.append(LocalText(text))
        return join_previews(previews, texts)

    def interrupt(self) -> None:
        for task in self._going:
            task.cancel()

    def forget(self, rebalance_id: str) -> None:
        pass


def open_local_meter(settings: Settings, resources: Resources, snapshot: PriceSnapshot) -> Measure:
    """Open the meter of a drift scan in this process instead of in Ray tasks."""
    return partial(measure_followers, resources, snapshot, settings.run_chunk_tries)


def build_optimizer(settings: Settings, database: Any, upstreams: Any) -> Optimizer:
    """Build the optimizer that the ingress calls, on these upstreams and this database."""
    resources = build_resources(database, upstreams, MODEL_RULES[settings.model_rules])
    coordinator = Coordinator(settings, resources, LocalRunner)
    open_runner = partial(LocalRunner, write=write_outcomes)
    parts = OptimizerParts(
        resources,
        coordinator,
        answer_text,
        open_runner,
        DriftScanner(settings, resources, open_local_meter),
        answer_upload=answer_upload,
    )
    return connect_optimizer(settings, parts)


def connect_optimizer(settings: Settings, parts: OptimizerParts) -> Optimizer:
    """Build the optimizer from these parts, behind a handle like that of the ingress."""
    deployment = OptimizerDeployment(settings, lambda _: parts)
    handle: Any = Handle(lambda: deployment)
    return connect(Optimizer, handle)
