"""Driving: a book run from where it stands to its end, by whoever holds its lease."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar, cast

import ray
from ray.exceptions import RayError, RayTaskError, TaskCancelledError

from optimization.result import Refusal, Status
from serve_app.metrics import count_chunk
from serve_app.rebalancing import refusal_of, refused
from serve_app.resources import Resources
from serve_app.runs.planning import Planner, now
from serve_app.runs.tasks import Work, chunk_task, report_of
from serve_app.runs.windows import Window
from serve_app.settings import Settings
from serve_app.upstream.errors import HoldingsFileError, UpstreamUnavailableError
from serve_app.upstream.pricing import PriceSnapshot
from storage.book import BookRun, BookRunStatus, Totals
from storage.chunks import Chunk, Report
from storage.errors import LeaseLostError, NotFoundError, StorageUnavailableError
from storage.options import options_from
from storage.runs import Run, RunStatus

logger = logging.getLogger(__name__)

PAUSE_S = 0.5
LONGEST_PAUSE_S = 8.0
PARTS_AT_A_TIME = 100
TRANSIENT = (UpstreamUnavailableError, StorageUnavailableError, RayError)
ENDS_RUN = (UpstreamUnavailableError, HoldingsFileError, LeaseLostError)
R = TypeVar("R")


class Drive:
    """One book run being worked on. The chunks that are open are what is left to do."""

    def __init__(self, settings: Settings, resources: Resources, run: BookRun, token: str) -> None:
        self._settings = settings
        self._with = resources
        self._run = run
        self._token = token
        self._planner = Planner(settings, resources)
        self._window = Window(settings.run_window)
        self._tries = settings.run_chunk_tries
        self._totals = Totals()
        self._snapshot: PriceSnapshot | None = None
        self._left: dict[str, int] = {}  # open chunks by rebalance
        self._works: dict[str, Any] = {}  # references to the work of the rebalances under way
        self._under_way: set[Any] = set()  # references to the tasks
        self._cancelled = run.status is BookRunStatus.CANCELLING

    async def drive(self) -> None:
        """Work until the run is over. Raises UpstreamUnavailableError where the run stops for one.

        Raises LeaseLostError when another may have taken the run over.
        """
        holding = asyncio.create_task(self._hold())
        working = asyncio.create_task(self._work())
        try:
            await asyncio.wait((holding, working), return_when=asyncio.FIRST_COMPLETED)
            if holding.done():
                holding.result()
            working.result()
        finally:
            holding.cancel()
            working.cancel()
            await asyncio.gather(holding, working, return_exceptions=True)

    async def _hold(self) -> None:
        """Renew the lease for as long as this goes on; learn whether the run was cancelled."""
        lease_s = self._settings.run_lease_s
        clock = asyncio.get_running_loop().time
        until = clock() + lease_s
        while True:
            await asyncio.sleep(lease_s / 5)
            begin = clock()
            try:
                status = await self._with.book_runs.renew(self._run.run_id, self._token, lease_s)
            except StorageUnavailableError:
                if clock() < until:
                    continue
                raise LeaseLostError(self._run.run_id) from None
            until = begin + lease_s
            if status is BookRunStatus.CANCELLING:
                self._cancel()

    def _cancel(self) -> None:
        self._cancelled = True
        for task in self._under_way:
            ray.cancel(task, force=False)  # what has begun is finished

    async def _work(self) -> None:
        try:
            if self._run.status is BookRunStatus.QUEUED:
                plan = await self._planner.plan(self._run)
                await self._with.book_runs.planned(self._run.run_id, self._token, plan)
            await self._resume()
            await self._through_chunks()
        except (UpstreamUnavailableError, HoldingsFileError, NotFoundError) as error:
            await self._end(BookRunStatus.STOPPED, refusal_of(error))
            if self._run.stops_on_outage:
                raise
            return
        await self._end(BookRunStatus.CANCELLED if self._left else BookRunStatus.COMPLETED)

    async def _resume(self) -> None:
        """Learn from the chunks where the run stands; end the rebalances that have no open ones."""
        self._run = await self._with.book_runs.read(self._run.run_id)
        stored = await self._with.book_runs.snapshot(self._run.run_id)
        if stored is not None:
            self._snapshot = PriceSnapshot(stored.snapshot_id, stored.taken_at, stored.prices)
        for event in await self._with.chunks.events(self._run.run_id):
            self._totals = _sum(self._totals, event.report)
        self._left = await self._with.chunks.open_by_rebalance(self._run.run_id)
        await self._end_parts(RunStatus.COMPLETED, lambda part: part.rebalance_id not in self._left)

    async def _through_chunks(self) -> None:
        """Every open chunk through the window; the first error ends the others."""
        going: set[asyncio.Task[None]] = set()
        try:
            async for chunk in self._with.chunks.open(self._run.run_id):
                while len(going) >= self._window.size:
                    going = await _fewer(going)
                if self._cancelled:
                    break
                going.add(asyncio.create_task(self._do(chunk)))
            while going:
                going = await _fewer(going)
        finally:
            for one in going:
                one.cancel()
            await asyncio.gather(*going, return_exceptions=True)

    async def _do(self, chunk: Chunk) -> None:
        try:
            report = await self._report(chunk)
        except ENDS_RUN:
            raise
        except Exception as error:
            logger.exception("chunk %s failed unexpectedly", chunk.chunk_id)
            report = await self._given_up(chunk, error)
        if report is not None:
            await self._note(chunk, report)

    async def _report(self, chunk: Chunk) -> Report | None:
        """What became of a chunk, after as many tries as it has; None if it never began."""
        pause_s, tries = PAUSE_S, 0
        while not self._cancelled:
            try:
                report = await self._task(chunk)
            except TaskCancelledError:
                return None
            except TRANSIENT as error:
                # Without the database nothing could be noted: as long as the lease lasts it is awaited.
                tries += not isinstance(error, StorageUnavailableError)
                if self._run.stops_on_outage and isinstance(error, UpstreamUnavailableError):
                    raise
                if tries >= self._tries:
                    self._tries = 1  # until something succeeds the others need not try as often
                    return await self._given_up(chunk, error)
            else:
                self._window.widen()
                self._tries = self._settings.run_chunk_tries
                return report
            self._window.narrow()
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        return None

    async def _task(self, chunk: Chunk) -> Report:
        task: Any = chunk_task.remote(await self._work_of(chunk.rebalance_id), chunk)
        self._under_way.add(task)
        try:
            return await task
        except RayTaskError as error:
            raise cast("Exception", error.cause) from None
        except asyncio.CancelledError:
            ray.cancel(task, force=False)
            raise
        finally:
            self._under_way.discard(task)

    async def _given_up(self, chunk: Chunk, error: Exception) -> Report:
        """Every portfolio of the chunk that has no outcome says why there is none."""
        refusal = refusal_of(error)
        outcomes = [refused(portfolio_id, refusal) for portfolio_id in chunk.portfolio_ids]
        record = self._with.rebalances.record
        counts = await self._persistently(
            lambda: record(chunk.rebalance_id, chunk.ordinals, outcomes)
        )
        return replace(report_of([], counts, {}), error=refusal.detail)

    async def _work_of(self, rebalance_id: str) -> Any:
        """A reference to what the chunks of a rebalance share."""
        if rebalance_id not in self._works:
            part = await self._with.rebalances.read(rebalance_id)
            snapshot = self._snapshot or PriceSnapshot("", part.started_at, {})
            limit_s = self._run.overrides.get("time_limit_s", self._settings.optimization_timeout)
            options = replace(options_from(part.options), time_limit_s=limit_s)
            work = Work(
                self._settings,
                part,
                snapshot,
                options,
                self._run.correlation_id,
                self._run.holdings,
                part.refusal,
            )
            self._works[rebalance_id] = ray.put(work)
        return self._works[rebalance_id]

    async def _note(self, chunk: Chunk, report: Report) -> None:
        count_chunk(report)
        self._totals = _sum(self._totals, report)
        number, totals = self._totals.chunks, self._totals
        await self._persistently(lambda: self._with.chunks.done(chunk, number, report, now()))
        progress = self._with.book_runs.progress
        await self._persistently(lambda: progress(self._run.run_id, self._token, totals, now()))
        self._left[chunk.rebalance_id] -= 1
        if self._left[chunk.rebalance_id] == 0:
            del self._left[chunk.rebalance_id]
            self._works.pop(chunk.rebalance_id, None)
            part = await self._persistently(lambda: self._with.rebalances.read(chunk.rebalance_id))
            await self._persistently(lambda: self._end_part(part, RunStatus.COMPLETED))

    async def _end(self, status: BookRunStatus, problem: Refusal | None = None) -> None:
        if status is not BookRunStatus.COMPLETED:
            await self._end_parts(RunStatus.STOPPED, lambda _: True)
        # What is stored counts, also of chunks that nobody could report any more.
        counts = Counter[Status]()
        async for part in self._parts():
            counts.update(part.counts)
        totals = replace(self._totals, counts=counts)
        end = self._with.book_runs.end
        await self._persistently(
            lambda: end(self._run.run_id, self._token, status, totals, now(), problem)
        )

    async def _end_parts(self, status: RunStatus, chosen: Callable[[Run], bool]) -> None:
        """End the rebalances that still run, of those that are chosen."""
        async for part in self._parts():
            if part.status is RunStatus.RUNNING and chosen(part):
                await self._end_part(part, status)

    async def _parts(self) -> AsyncIterator[Run]:
        last: str | None = None
        while parts := await self._with.rebalances.parts(self._run.run_id, last, PARTS_AT_A_TIME):
            for part in parts:
                yield part
            last = parts[-1].rebalance_id

    async def _end_part(self, part: Run, status: RunStatus) -> None:
        await self._with.rebalances.finish(part.rebalance_id, status, now())
        if status is RunStatus.COMPLETED:
            with suppress(NotFoundError):  # the model was deleted meanwhile
                await self._with.models.rebalanced(part.model_id, part.started_at)

    async def _persistently(self, call: Callable[[], Awaitable[R]]) -> R:
        """The answer of the database, which may be away for as long as the lease lasts."""
        while True:
            try:
                return await call()
            except StorageUnavailableError:
                await asyncio.sleep(PAUSE_S)


async def _fewer(going: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    """What still goes on after something has ended; its error is raised."""
    done, going = await asyncio.wait(going, return_when=asyncio.FIRST_COMPLETED)
    for one in done:
        one.result()
    return going


def _sum(totals: Totals, report: Report) -> Totals:
    return Totals(
        totals.chunks + 1,
        Counter(totals.counts) + Counter(report.counts),
        Counter(totals.methods) + Counter(report.methods),
        {
            stage: totals.seconds.get(stage, 0) + report.seconds.get(stage, 0)
            for stage in totals.seconds.keys() | report.seconds.keys()
        },
    )
