"""Runs: the portfolios of a model, solved here or cut into chunks that Ray tasks solve.

A run has one price snapshot from its begin to its end. Every outcome is written under a key made of the
run and the portfolio's place in it, so a task that runs twice changes nothing.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any, cast

import ray
from ray.exceptions import RayTaskError

from optimization.assembly import priced
from optimization.errors import PricesMissingError, RuleError
from optimization.model import Model
from optimization.options import RebalanceOptions
from optimization.result import Rebalance
from serve_app.correlation import correlation_id
from serve_app.metrics import WATCH, count_run, count_solved, count_stopped_run
from serve_app.observability import correlate_logs
from serve_app.rebalancing import failed, prices_of, rebalance_portfolios
from serve_app.resources import Resources, opened
from serve_app.settings import Settings
from serve_app.upstream.gather import for_each
from serve_app.upstream.pricing import PriceSnapshot
from storage.database import WRITER_TIMEOUT_S
from storage.errors import NotFoundError
from storage.options import options_document
from storage.runs import Run, RunStatus, new_rebalance_id

Outcomes = tuple[Run, tuple[Rebalance, ...]]
Overrides = Mapping[str, Any] | None
"""Options by name, in place of those that the model has."""


@dataclass(frozen=True, slots=True)
class Work:
    """What every chunk of a run shares; put into the object store once."""

    settings: Settings
    run: Run
    snapshot: PriceSnapshot
    options: RebalanceOptions
    correlation_id: str
    stored: bool = True  # a preview is not


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some portfolios of a run and their places in it."""

    ordinals: tuple[int, ...]
    portfolio_ids: tuple[str, ...]


class Runs:
    """Starts, resumes and records runs, in one process and its event loop."""

    def __init__(self, settings: Settings, resources: Resources) -> None:
        self._settings = settings
        self._with = resources

    async def rebalance(
        self,
        rebalance_id: str,
        model: Model,
        portfolio_ids: tuple[str, ...],
        overrides: Overrides,
    ) -> Outcomes:
        """Rebalance these portfolios of the model, store what became of them, and answer it.

        Raises UpstreamUnavailableError as soon as an upstream is down; what was solved before stays.
        """
        begin = time.monotonic()
        try:
            made = await self._rebalanced(rebalance_id, model, portfolio_ids, overrides)
        except BaseException:
            count_stopped_run()
            raise
        count_run(made[1], time.monotonic() - begin)
        return made

    async def preview(
        self, model: Model, portfolio_ids: tuple[str, ...], overrides: Overrides
    ) -> Outcomes:
        """What ``rebalance`` would answer; nothing is stored, so the id of the run leads nowhere."""
        begun = await self._begun(new_rebalance_id(), model, len(portfolio_ids), overrides)
        work = replace(begun, stored=False)
        try:
            work = await self._at_prices(work, model)
        except (PricesMissingError, RuleError) as error:
            return work.run, tuple(failed(each, error) for each in portfolio_ids)
        whole = Chunk(tuple(range(len(portfolio_ids))), portfolio_ids)
        if len(portfolio_ids) > self._settings.run_fan_out_above:
            return work.run, await fan_out(work, whole, self._settings)
        return work.run, tuple(await solved(work, whole, self._with))

    async def _rebalanced(
        self,
        rebalance_id: str,
        model: Model,
        portfolio_ids: tuple[str, ...],
        overrides: Overrides,
    ) -> Outcomes:
        work = await self._begun(rebalance_id, model, len(portfolio_ids), overrides)
        try:
            work = await self._at_prices(work, model)
        except (PricesMissingError, RuleError) as error:
            # Without the model's own prices there is nothing to solve: every portfolio says so.
            return await self._recorded(work.run, [failed(each, error) for each in portfolio_ids])
        whole = Chunk(tuple(range(len(portfolio_ids))), portfolio_ids)
        if len(portfolio_ids) > self._settings.run_fan_out_above:
            return await self._fanned_out(work, whole)
        return await self._recorded(work.run, await solved(work, whole, self._with))

    async def settled(self, rebalance_id: str) -> Outcomes | None:
        """What a run made before its answer was lost; one that was cut off is marked as stopped."""
        try:
            run = await self._with.rebalances.read(rebalance_id)
        except NotFoundError:
            return None
        if run.status is not RunStatus.COMPLETED:
            await self._with.rebalances.finish(rebalance_id, RunStatus.STOPPED, _now())
            return None
        return run, await self._with.rebalances.outcomes(run)

    async def _begun(
        self, rebalance_id: str, model: Model, portfolios: int, overrides: Overrides
    ) -> Work:
        limit_s = self._settings.optimization_timeout
        options = replace(model.options or RebalanceOptions(), time_limit_s=limit_s)
        options = replace(options, **(overrides or {}))
        snapshot = await self._with.prices.snapshot()
        run = _run(rebalance_id, model, portfolios, options)
        return Work(self._settings, run, snapshot, options, correlation_id.get())

    async def _at_prices(self, work: Work, model: Model) -> Work:
        ids = frozenset(target.security_id for target in model.targets)
        prices = await prices_of(ids, self._with.securities, work.snapshot)
        return replace(work, run=replace(work.run, securities=priced(model, prices)))

    async def _recorded(self, run: Run, outcomes: Sequence[Rebalance]) -> Outcomes:
        """Store a run that is over."""
        counts = Counter(outcome.status for outcome in outcomes)
        run = replace(run, status=RunStatus.COMPLETED, counts=counts, finished_at=_now())
        storing = self._with.rebalances.store(run, outcomes)
        stored, _ = await asyncio.gather(storing, self._dated(run))
        return stored, tuple(outcomes)

    async def _fanned_out(self, work: Work, whole: Chunk) -> Outcomes:
        """A run in chunks: stored as running first, then chunk by chunk."""
        run = await self._with.rebalances.open(work.run)
        try:
            outcomes = await fan_out(replace(work, run=run), whole, self._settings)
        except BaseException:
            ending = self._with.rebalances.finish(run.rebalance_id, RunStatus.STOPPED, _now())
            await asyncio.shield(ending)
            raise
        run = await self._with.rebalances.finish(run.rebalance_id, RunStatus.COMPLETED, _now())
        await self._dated(run)
        return run, outcomes

    async def _dated(self, run: Run) -> None:
        # A model that was deleted while its portfolios were rebalanced has no date to set.
        with suppress(NotFoundError):
            await self._with.models.rebalanced(run.model_id, run.started_at)


async def solved(work: Work, chunk: Chunk, resources: Resources) -> list[Rebalance]:
    """The outcomes of a chunk: all fetching first, then one block."""
    correlation_id.set(work.correlation_id)
    return await rebalance_portfolios(
        work.run.securities,
        chunk.portfolio_ids,
        resources.holdings,
        resources.securities,
        work.snapshot,
        work.options,
        count_solved,
    )


async def fan_out(work: Work, whole: Chunk, settings: Settings) -> tuple[Rebalance, ...]:
    """The outcomes of all portfolios, from Ray tasks through a bounded window.

    The first error ends the run: tasks that have not begun are cancelled.
    """
    shared = ray.put(work)
    size = settings.run_chunk_size
    found: dict[int, list[Rebalance]] = {}

    async def run_chunk(first: int) -> None:
        last = first + size
        chunk = Chunk(whole.ordinals[first:last], whole.portfolio_ids[first:last])
        task = _chunk_task.remote(shared, chunk)
        try:
            found[first] = await task
        except RayTaskError as error:
            raise cast("Exception", error.cause) from None
        except asyncio.CancelledError:
            ray.cancel(task, force=False)
            raise

    await for_each(range(0, len(whole.portfolio_ids), size), run_chunk, settings.run_window)
    return tuple(outcome for first in sorted(found) for outcome in found[first])


# A lost worker or node is tried again, an error of ours is not.
@ray.remote(num_cpus=1, max_retries=3, retry_exceptions=False)
def _chunk_task(work: Work, chunk: Chunk) -> list[Rebalance]:
    """Fetch, solve and, unless it is a preview, record one chunk, in a worker process."""
    worker = _worker(work.settings)

    async def fetched_solved_recorded() -> list[Rebalance]:
        outcomes = await solved(work, chunk, worker.resources)
        if work.stored:
            rebalances = worker.resources.rebalances
            await rebalances.record(work.run.rebalance_id, chunk.ordinals, outcomes)
        return outcomes

    return worker.runner.run(fetched_solved_recorded())


@ray.remote(num_cpus=1)
def _warm_task(settings: Settings) -> None:
    """Load what a chunk needs, so that the first run does not wait for it."""
    _worker(settings)


def warm_workers(settings: Settings, count: int) -> None:
    """Have so many worker processes ready; returns at once."""
    for _ in range(count):
        _warm_task.remote(settings)


@dataclass(frozen=True, slots=True)
class _Worker:
    """The event loop of a worker process, kept with its connections from task to task."""

    runner: asyncio.Runner
    resources: Resources


@cache
def _worker(settings: Settings) -> _Worker:
    correlate_logs()
    runner = asyncio.Runner()

    async def open_here() -> Resources:
        return opened(settings, WATCH, timeout_ms=WRITER_TIMEOUT_S * 1000)

    return _Worker(runner, runner.run(open_here()))


def _run(rebalance_id: str, model: Model, portfolios: int, options: RebalanceOptions) -> Run:
    assert model.model_id is not None
    return Run(
        rebalance_id=rebalance_id,
        model_id=model.model_id,
        model_version=model.version,
        model_name=model.name,
        securities=(),
        options=options_document(options),
        number_of_portfolios=portfolios,
        started_at=_now(),
    )


def _now() -> datetime:
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
