"""Run driver: takes a run from its recorded state to its end, while it holds the lease."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace

from optimization import Refusal, Status
from serve_app.chunks.unmatched_ids import UnmatchedIds
from serve_app.concurrency import for_each_in_window
from serve_app.leases import hold_lease
from serve_app.observability.events import log_event
from serve_app.observability.metrics import count_run
from serve_app.problems.error_table import build_refusal
from serve_app.resources import Resources
from serve_app.retries import retry_while_unavailable
from serve_app.runs.chunk_attempts import ChunkAttempts, ChunkRunner
from serve_app.runs.planner import Planner
from serve_app.runs.progress import RunProgress
from serve_app.settings import Settings
from serve_app.upstream.errors import FAILURES, HoldingsFileError
from storage.audit.trail import Action
from storage.errors import NotFoundError
from storage.mongo.decimal_codec import now
from storage.rebalances.rebalance import Rebalance, RebalanceStatus
from storage.runs.chunk_store import Chunk, Report
from storage.runs.run import Run, RunPlan, RunStatus, Totals

REBALANCE_BATCH_SIZE = 100


class RunDriver:
    """Driver of one run; the open chunks in the database are the work that is left."""

    def __init__(
        self,
        settings: Settings,
        resources: Resources,
        run: Run,
        token: str,
        runner: ChunkRunner,
    ) -> None:
        self._settings = settings
        self._resources = resources
        self._run = run
        self._token = token
        self._planner = Planner(settings, resources)
        self._attempts = ChunkAttempts(settings, resources, run, runner)
        self._progress = RunProgress(resources, run.run_id, token)
        self._planning: asyncio.Task[RunPlan] | None = None
        self._wake_up = asyncio.Event()

    @property
    def correlation_id(self) -> str:
        """Correlation id of the request that began the run."""
        return self._run.correlation_id

    async def drive(self) -> None:
        """Work until the run is over.

        Raises the error of an upstream if the run stops on outages, and LeaseLostError if another
        replica may have taken the run over.
        """
        lease_s = self._settings.run_lease_s
        await hold_lease(
            self._run.run_id,
            lease_s,
            lambda: self._resources.runs.renew(self._run.run_id, self._token, lease_s),
            self._work(),
            obey=self._obey,
            renew_now=self._wake_up,
        )

    def look(self) -> None:
        """Check at once whether the run was cancelled."""
        self._wake_up.set()

    def _obey(self, status: RunStatus) -> None:
        """Stop working if the run was cancelled."""
        if status not in {RunStatus.CANCELLING, RunStatus.DISCARDING}:
            return
        if self._planning is not None:
            self._planning.cancel()
        if status is RunStatus.DISCARDING:
            self._attempts.interrupt()
        else:
            self._attempts.cancel()

    async def give_up(self, problem: Refusal) -> None:
        """End a run that makes no progress."""
        await self._resume()
        await self._end(RunStatus.STOPPED, problem)

    async def _work(self) -> None:
        try:
            if self._run.status is RunStatus.QUEUED:
                await self._plan()
            await self._resume()
            await self._work_through_chunks()
        except (*FAILURES, HoldingsFileError, NotFoundError) as error:
            await self._end(RunStatus.STOPPED, build_refusal(error))
            if self._run.stops_on_outage:
                raise
            return
        whole = self._run.number_of_chunks is not None and not self._progress.open_chunks
        await self._end(RunStatus.COMPLETED if whole else RunStatus.CANCELLED)

    async def _plan(self) -> None:
        """Plan the run and store the plan, unless the run is cancelled meanwhile."""
        self._planning = asyncio.create_task(self._planner.plan(self._run))
        try:
            await asyncio.wait((self._planning,))
        finally:
            self._planning.cancel()
        if not self._planning.cancelled():
            plan = self._planning.result()
            await self._resources.runs.store_plan(self._run.run_id, self._token, plan)

    async def _resume(self) -> None:
        """Restore the state of the run; end the rebalances that have no open chunks."""
        self._run = await self._resources.runs.read_whole(self._run.run_id)
        await self._progress.resume()
        snapshot = await self._resources.runs.read_snapshot(self._run.run_id)
        await self._attempts.begin(self._run, snapshot, sum(self._progress.open_chunks.values()))
        self._obey(self._run.status)  # because the run may be cancelled before it is planned
        if self._run.number_of_chunks is not None:
            open_chunks = self._progress.open_chunks
            await self._end_parts(
                RebalanceStatus.COMPLETED, lambda part: part.rebalance_id not in open_chunks
            )

    async def _work_through_chunks(self) -> None:
        """Work through the open chunks within the window; the first error cancels the others."""
        await for_each_in_window(
            self._resources.chunks.stream_open(self._run.run_id),
            self._run_chunk,
            window=lambda: self._attempts.window.size,
            is_over=lambda: self._attempts.is_cancelled,
        )

    async def _run_chunk(self, chunk: Chunk) -> None:
        report = await self._attempts.report(chunk)
        if report is not None:
            await self._note(chunk, report)

    async def _note(self, chunk: Chunk, report: Report) -> None:
        if await self._progress.note(chunk, report):
            self._attempts.forget(chunk.rebalance_id)
            part = await retry_while_unavailable(
                lambda: self._resources.rebalances.read(chunk.rebalance_id)
            )
            await retry_while_unavailable(lambda: self._end_part(part, RebalanceStatus.COMPLETED))

    async def _end(self, status: RunStatus, problem: Refusal | None = None) -> None:
        totals = self._progress.totals
        if status is not RunStatus.COMPLETED:
            if await self._is_discarded():
                # The caller is gone, so other failures no longer matter.
                status, problem, totals = RunStatus.CANCELLED, None, Totals()
            await self._end_parts(RebalanceStatus.STOPPED, lambda _: True)
        # The database counts, because chunks may have stored outcomes without a report.
        counts, unmatched = Counter[Status](), UnmatchedIds(self._run)
        async for part in self._stream_parts():
            counts.update(part.counts)
            unmatched.add_rebalance(part)
        # Other runs report no unmatched ids, because some of their holdings are unknown.
        ids = unmatched.ids if status is RunStatus.COMPLETED else ()
        totals = replace(totals, counts=counts, unmatched=ids)
        end, claim = self._resources.runs.end, self._run.claim
        finished_at = now()
        await retry_while_unavailable(
            lambda: end(self._run.run_id, self._token, status, totals, finished_at, problem, claim)
        )
        seconds = (finished_at - self._run.created_at).total_seconds()
        count_run(status.value, seconds)
        log_event(
            Action.RUN_ENDED,
            self._run.run_id,
            status=status.value,
            counts={outcome_status.value: count for outcome_status, count in counts.items()},
            seconds=round(seconds),
        )

    async def _is_discarded(self) -> bool:
        """Return whether the caller gave the run up; remove its rebalances and chunks if so."""
        run_id = self._run.run_id
        run = await retry_while_unavailable(lambda: self._resources.runs.read(run_id))
        if run.status is not RunStatus.DISCARDING:
            return False
        await retry_while_unavailable(lambda: self._resources.rebalances.forget_parts(run_id))
        await retry_while_unavailable(lambda: self._resources.chunks.forget(run_id))
        return True

    async def _end_parts(
        self, status: RebalanceStatus, is_selected: Callable[[Rebalance], bool]
    ) -> None:
        """End the running rebalances for which ``is_selected`` holds."""
        async for part in self._stream_parts():
            if part.status is RebalanceStatus.RUNNING and is_selected(part):
                await self._end_part(part, status)

    async def _stream_parts(self) -> AsyncIterator[Rebalance]:
        last: str | None = None
        list_parts, run_id = self._resources.rebalances.list_parts, self._run.run_id
        while parts := await list_parts(run_id, last, REBALANCE_BATCH_SIZE, with_own_options=True):
            for part in parts:
                yield part
            last = parts[-1].rebalance_id

    async def _end_part(self, part: Rebalance, status: RebalanceStatus) -> None:
        await self._resources.rebalances.finish(part.rebalance_id, status, now())
        about = {"model_id": part.model_id, "run_id": self._run.run_id, "status": status.value}
        log_event(Action.REBALANCE_STORED, part.rebalance_id, **about)
        if status is RebalanceStatus.COMPLETED:
            with suppress(NotFoundError):  # because the model may be deleted meanwhile
                await self._resources.models.record_rebalance_date(part.model_id, part.started_at)
