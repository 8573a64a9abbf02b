"""Chunk attempts: run each chunk until its outcomes are stored or it is given up."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import stamina
from ray.exceptions import RayError, TaskCancelledError

from optimization import RebalanceOptions
from serve_app.call_context import TimeSplit, set_deadline
from serve_app.chunks.solve import refused_outcome
from serve_app.chunks.work import RebalanceInput
from serve_app.problems.error_table import build_refusal
from serve_app.resources import Resources
from serve_app.retries import doubling_pauses, retry_while_unavailable
from serve_app.runs.chunk_tasks import summarize_chunk
from serve_app.runs.congestion_window import CongestionWindow
from serve_app.settings import Settings
from serve_app.upstream.errors import FAILURES, PASSING, HoldingsFileError
from serve_app.upstream.prices import PriceSnapshot
from storage.errors import LeaseLostError, StorageUnavailableError
from storage.runs.chunk_store import Chunk, Report, sum_reports
from storage.runs.run import Run, RunStatus, Snapshot

logger = logging.getLogger(__name__)

PAUSE_S = 0.5
MAX_PAUSE_S = 8.0
TRIES_OF_HALF = 2
TRANSIENT = (*PASSING, StorageUnavailableError, RayError)
ENDS_RUN = (HoldingsFileError, LeaseLostError)


class ChunkRunner(Protocol):
    """Place where the chunks of one run are worked on."""

    async def count_at_a_time(self) -> int:
        """Return the number of chunks that the place works on at a time."""
        ...

    async def run(self, shared: RebalanceInput, chunk: Chunk) -> Report | None:
        """Fetch, solve and record a chunk; None if its run may begin no more chunks.

        Raises TaskCancelledError after an interruption, and a RayError if the worker crashes.
        """
        ...

    def interrupt(self) -> None:
        """Cancel the chunks that are worked on."""
        ...

    def forget(self, rebalance_id: str) -> None:
        """Release the input that the chunks of a rebalance share."""
        ...


OpenRunner = Callable[[Settings, Resources], ChunkRunner]
"""Opens the runner of one run."""


class ChunkAttempts:
    """Attempts at the chunks of one run, as many at a time as its congestion window admits."""

    def __init__(
        self, settings: Settings, resources: Resources, run: Run, runner: ChunkRunner
    ) -> None:
        self._settings = settings
        self._resources = resources
        self._run = run
        self._runner = runner
        self._snapshot: Snapshot | None = None
        self._tries = settings.run_chunk_tries
        self._inputs: dict[str, RebalanceInput] = {}  # key: rebalance id
        self._time_split = TimeSplit(1, 1)
        self.window = CongestionWindow(settings.run_window)
        self.is_cancelled = run.status in {RunStatus.CANCELLING, RunStatus.DISCARDING}

    async def begin(self, run: Run, snapshot: Snapshot | None, open_chunks: int) -> None:
        """Take over the planned run, its price snapshot and the number of its open chunks."""
        self._run = run
        self._snapshot = snapshot
        at_a_time = await self._runner.count_at_a_time()
        self._time_split = TimeSplit(open_chunks, at_a_time)
        self.window = CongestionWindow(at_a_time)

    def cancel(self) -> None:
        """Begin no further chunk."""
        self.is_cancelled = True

    def interrupt(self) -> None:
        """Begin no further chunk and cancel those that are worked on."""
        self.cancel()
        self._runner.interrupt()

    def forget(self, rebalance_id: str) -> None:
        """Release the input that the chunks of a rebalance share."""
        self._inputs.pop(rebalance_id, None)
        self._runner.forget(rebalance_id)

    async def report(self, chunk: Chunk, tries: int | None = None) -> Report | None:
        """Solve and store a chunk and return its report; None if the run was cancelled.

        Raises only errors that end the whole run.
        """
        try:
            return await self._retry(chunk, tries)
        except Exception as error:
            if isinstance(error, ENDS_RUN) or self._is_fatal_outage(error):
                raise
            if isinstance(error, RayError) and len(chunk.portfolio_ids) > 1:
                return await self._bisect(chunk)
            if not isinstance(error, FAILURES):
                logger.exception("chunk %s failed unexpectedly", chunk.chunk_id)
            return await self._give_up(chunk, error)

    def _is_fatal_outage(self, error: Exception) -> bool:
        return self._run.stops_on_outage and isinstance(error, FAILURES)

    async def _retry(self, chunk: Chunk, tries: int | None) -> Report | None:
        on = self._build_retry_policy(tries)
        async for attempt in stamina.retry_context(on, attempts=None, timeout=None):
            with attempt:
                return await self._try(chunk)
        raise AssertionError

    def _build_retry_policy(self, tries: int | None) -> Callable[[Exception], bool | float]:
        """Build the retry policy of a chunk for stamina: the pause after a failure, or False."""
        pauses, failures = doubling_pauses(PAUSE_S, MAX_PAUSE_S), 0

        def choose_pause_s(error: Exception) -> bool | float:
            nonlocal failures
            if not isinstance(error, TRANSIENT) or self._is_fatal_outage(error):
                return False
            # A database failure does not count, because without the database nothing could be
            # recorded: the chunk waits for it as long as the lease lasts.
            failures += not isinstance(error, StorageUnavailableError)
            if failures >= (tries or self._tries):
                self._tries = 1  # because until something succeeds the others need not try as often
                return False
            self.window.narrow()
            return next(pauses)

        return choose_pause_s

    async def _try(self, chunk: Chunk) -> Report | None:
        """Run a chunk once; None if the run is cancelled."""
        if self.is_cancelled:
            return None
        try:
            shared = await self._load_input(chunk.rebalance_id)
            with set_deadline(self._time_split.next_s()):
                report = await self._runner.run(shared, chunk)
        except TaskCancelledError:
            return None
        if report is None:
            self.cancel()  # because the runner read in the database that the run was cancelled
            return None
        self.window.widen()
        self._tries = self._settings.run_chunk_tries
        return report

    async def _bisect(self, chunk: Chunk) -> Report | None:
        """Bisect a chunk that keeps crashing its worker, to isolate the portfolio at fault."""
        half = len(chunk.portfolio_ids) // 2
        halves = chunk.part(slice(0, half)), chunk.part(slice(half, None))
        reports: list[Report] = []
        for part in halves:
            report = await self.report(part, TRIES_OF_HALF)
            if report is None:
                return None
            reports.append(report)
        return sum_reports(reports)

    async def _give_up(self, chunk: Chunk, error: Exception) -> Report:
        """Store the error as the outcome of every portfolio of the chunk that has none."""
        refusal = build_refusal(error)
        outcomes = [refused_outcome(portfolio_id, refusal) for portfolio_id in chunk.portfolio_ids]
        record = self._resources.rebalances.record
        counts = await retry_while_unavailable(
            lambda: record(chunk.rebalance_id, chunk.ordinals, outcomes, chunk.grid)
        )
        return replace(summarize_chunk([], counts, {}), error=refusal.detail)

    async def _load_input(self, rebalance_id: str) -> RebalanceInput:
        """Return the input that the chunks of a rebalance share."""
        if rebalance_id not in self._inputs:
            self._inputs[rebalance_id] = await self._read_input(rebalance_id)
        return self._inputs[rebalance_id]

    async def _read_input(self, rebalance_id: str) -> RebalanceInput:
        part = await self._resources.rebalances.read(rebalance_id)
        snapshot = self._snapshot or Snapshot("", part.started_at, {})
        return RebalanceInput(
            self._settings,
            part,
            PriceSnapshot(snapshot.snapshot_id, snapshot.taken_at, snapshot.prices),
            part.options.apply_to(
                RebalanceOptions(time_limit_s=self._settings.optimization_timeout)
            ),
            self._run.correlation_id,
            self._run.holdings,
            part.refusal,
            1 if self._run.stops_on_outage else self._settings.run_chunk_tries,
        )
