"""Driving: a book run from where it stands to its end, by whoever holds its lease."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

import ray
from ray.exceptions import RayError, RayTaskError, TaskCancelledError

from optimization.result import Refusal, Status
from serve_app.rebalancing import refusal_of, refused
from serve_app.resources import Resources
from serve_app.runs.planning import Planner, now
from serve_app.runs.tally import Tally, persistently
from serve_app.runs.tasks import Work, chunk_task, report_of
from serve_app.runs.windows import Window
from serve_app.settings import Settings
from serve_app.upstream.errors import (
    FAILURES,
    HoldingsFileError,
    UpstreamContractError,
    UpstreamUnavailableError,
)
from serve_app.upstream.pricing import PriceSnapshot
from storage.book import BookRun, BookRunStatus, Plan
from storage.chunks import Chunk, Report
from storage.errors import LeaseLostError, NotFoundError, StorageUnavailableError
from storage.options import options_from
from storage.runs import Run, RunStatus

logger = logging.getLogger(__name__)

PAUSE_S = 0.5
LONGEST_PAUSE_S = 8.0
PARTS_AT_A_TIME = 100
TRANSIENT = (UpstreamUnavailableError, StorageUnavailableError, RayError)
ENDS_RUN = (HoldingsFileError, LeaseLostError)


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
        self._tally = Tally(resources, run.run_id, token)
        self._planning: asyncio.Task[Plan] | None = None
        self._snapshot: PriceSnapshot | None = None
        self._works: dict[str, Any] = {}  # references to the work of the rebalances under way
        self._under_way: set[Any] = set()  # references to the tasks
        self._cancelled = run.status is BookRunStatus.CANCELLING

    async def drive(self) -> None:
        """Work until the run is over. Raises what an upstream failed with where the run stops for it.

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
        if self._planning is not None:
            self._planning.cancel()
        for task in self._under_way:
            ray.cancel(task, force=False)

    async def give_up(self, problem: Refusal) -> None:
        """End a run that comes no further."""
        await self._resume()
        await self._end(BookRunStatus.STOPPED, problem)

    async def _work(self) -> None:
        try:
            if self._run.status is BookRunStatus.QUEUED:
                await self._plan()
            await self._resume()
            await self._through_chunks()
        except (*FAILURES, HoldingsFileError, NotFoundError) as error:
            await self._end(BookRunStatus.STOPPED, refusal_of(error))
            if self._run.stops_on_outage:
                raise
            return
        whole = self._run.number_of_chunks is not None and not self._tally.left
        await self._end(BookRunStatus.COMPLETED if whole else BookRunStatus.CANCELLED)

    async def _plan(self) -> None:
        """Find out what there is to do, unless the run is cancelled meanwhile."""
        self._planning = asyncio.create_task(self._planner.plan(self._run))
        try:
            await asyncio.wait((self._planning,))
        finally:
            self._planning.cancel()
        if not self._planning.cancelled():
            plan = self._planning.result()
            await self._with.book_runs.planned(self._run.run_id, self._token, plan)

    async def _resume(self) -> None:
        """Learn where the run stands; end the rebalances that have no open chunks."""
        self._run = await self._with.book_runs.read(self._run.run_id)
        stored = await self._with.book_runs.snapshot(self._run.run_id)
        if stored is not None:
            self._snapshot = PriceSnapshot(stored.snapshot_id, stored.taken_at, stored.prices)
        await self._tally.resume()
        if self._run.number_of_chunks is not None:
            left = self._tally.left
            await self._end_parts(RunStatus.COMPLETED, lambda part: part.rebalance_id not in left)

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
        except Exception as error:
            if isinstance(error, ENDS_RUN) or self._stops_for(error):
                raise
            if not isinstance(error, UpstreamContractError):
                logger.exception("chunk %s failed unexpectedly", chunk.chunk_id)
            report = await self._given_up(chunk, error)
        if report is not None:
            await self._note(chunk, report)

    def _stops_for(self, error: Exception) -> bool:
        return self._run.stops_on_outage and isinstance(error, FAILURES)

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
                if self._stops_for(error):
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
        counts = await persistently(lambda: record(chunk.rebalance_id, chunk.ordinals, outcomes))
        return replace(report_of([], counts, {}), error=refusal.detail)

    async def _work_of(self, rebalance_id: str) -> Any:
        """A reference to what the chunks of a rebalance share."""
        if rebalance_id not in self._works:
            self._works[rebalance_id] = ray.put(await self._shared(rebalance_id))
        return self._works[rebalance_id]

    async def _shared(self, rebalance_id: str) -> Work:
        part = await self._with.rebalances.read(rebalance_id)
        snapshot = self._snapshot or PriceSnapshot("", part.started_at, {})
        limit_s = self._run.overrides.get("time_limit_s", self._settings.optimization_timeout)
        return Work(
            self._settings,
            part,
            snapshot,
            replace(options_from(part.options), time_limit_s=limit_s),
            self._run.correlation_id,
            self._run.holdings,
            part.refusal,
            1 if self._run.stops_on_outage else self._settings.run_chunk_tries,
        )

    async def _note(self, chunk: Chunk, report: Report) -> None:
        if await self._tally.note(chunk, report):
            self._works.pop(chunk.rebalance_id, None)
            part = await persistently(lambda: self._with.rebalances.read(chunk.rebalance_id))
            await persistently(lambda: self._end_part(part, RunStatus.COMPLETED))

    async def _end(self, status: BookRunStatus, problem: Refusal | None = None) -> None:
        if status is not BookRunStatus.COMPLETED:
            await self._end_parts(RunStatus.STOPPED, lambda _: True)
        # What is stored counts, also of chunks that nobody could report any more.
        counts = Counter[Status]()
        async for part in self._parts():
            counts.update(part.counts)
        totals = replace(self._tally.totals, counts=counts)
        end = self._with.book_runs.end
        await persistently(
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


async def _fewer(going: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    """What still goes on after something has ended; its error is raised."""
    done, going = await asyncio.wait(going, return_when=asyncio.FIRST_COMPLETED)
    for one in done:
        one.result()
    return going
