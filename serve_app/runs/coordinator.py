"""Coordinator: keeps stored runs going after the replica that began them is gone."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from uuid import uuid4

from optimization import Refusal
from serve_app.call_context import correlation_id
from serve_app.observability.events import log_event
from serve_app.problems.catalogue import INTERNAL_ERROR
from serve_app.resources import Resources
from serve_app.retries import repeat_for_ever, retry_while_unavailable
from serve_app.runs.chunk_attempts import ChunkRunner, OpenRunner
from serve_app.runs.chunk_tasks import open_task_runner
from serve_app.runs.run_driver import RunDriver
from serve_app.settings import Settings
from serve_app.upstream.errors import FAILURES
from storage.audit.trail import Action
from storage.errors import (
    LeaseLostError,
    NotFoundError,
    RunEndedError,
    StaleVersionError,
    StorageUnavailableError,
)
from storage.idempotency_store import IdempotencyClaim
from storage.mongo.decimal_codec import now
from storage.rebalances.rebalance_store import RebalanceStore
from storage.runs.run import Run, RunStatus

logger = logging.getLogger(__name__)

SEARCH = "search for runs"
LOOK_EVERY_S = 2.0
FORGET_EVERY_S = 3600.0
DELETION_BATCH_SIZE = 100
MAX_TAKEOVERS = 20


class Coordinator:
    """Drives the runs that begin in this replica, and takes over runs whose replica died."""

    def __init__(
        self,
        settings: Settings,
        resources: Resources,
        open_runner: OpenRunner = open_task_runner,
        announce: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        """Make a coordinator; ``announce`` makes the coordinators of all replicas look at a run."""
        self._settings = settings
        self._resources = resources
        self._open_runner = open_runner
        self._announce = announce
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._drivers: dict[str, RunDriver] = {}
        self._cancelling: set[asyncio.Task[None]] = set()

    async def begin(
        self,
        run: Run,
        completes: IdempotencyClaim | None = None,
        runner: ChunkRunner | None = None,
    ) -> Run:
        """Store a run and drive it from now on; a run that is stored already is only returned.

        A caller that passes a claim can read the run under it later, even if this call fails.
        ``runner`` works on the chunks instead of one that is opened for the run.
        """
        token = uuid4().hex
        try:
            lease_s = self._settings.run_lease_s
            if not await self._resources.runs.add(run, token, lease_s, completes):
                return await self._resources.runs.read(run.run_id)
        except (StorageUnavailableError, asyncio.CancelledError):
            # The run may be stored all the same. It is cancelled, because a run that was reported
            # as not begun must not continue.
            if completes is None:
                self._cancel(run.run_id)
            raise
        log_event(Action.RUN_BEGUN, run.run_id)
        self._drive(run, token, runner)
        return run  # not read again, because a failed read must not hide a run that goes on

    async def complete(self, run: Run, runner: ChunkRunner | None = None) -> None:
        """Store a run and return when every portfolio has its outcome; otherwise raise the cause.

        The run is discarded if its caller stops waiting or learns that the database is down. Chunks
        that another replica takes over are not worked on by ``runner``.
        """
        with self._cancel_with_caller(run.run_id):
            await self.begin(run, runner=runner)
            await self._over(run.run_id)

    async def wait_until_over(self, run_id: str) -> None:
        """Return when every portfolio of a stored run has its outcome."""
        with self._cancel_with_caller(run_id):
            await self._over(run_id)

    async def _over(self, run_id: str) -> None:
        if run_id in self._tasks:
            await asyncio.shield(self._tasks[run_id])
        # The run is polled, because another replica may drive it, or take it over after this
        # replica has lost its lease.
        lease_s = self._settings.run_lease_s
        read_run = partial(self._resources.runs.read, run_id)
        while True:
            run = await retry_while_unavailable(read_run, lease_s)
            if run.status.is_over:
                break
            await asyncio.sleep(LOOK_EVERY_S / 4)
        if run.status is not RunStatus.COMPLETED:
            raise RunEndedError(run_id, run.status, run.problem)

    @contextmanager
    def _cancel_with_caller(self, run_id: str) -> Generator[None]:
        try:
            yield
        except (StorageUnavailableError, asyncio.CancelledError):
            self._cancel(run_id)
            raise

    def _cancel(self, run_id: str) -> None:
        # A task of its own, because a cancelled caller may be cancelled again.
        task = asyncio.get_running_loop().create_task(self._discard(run_id))
        self._cancelling.add(task)
        task.add_done_callback(self._cancelling.discard)

    async def _discard(self, run_id: str) -> None:
        try:
            async with asyncio.timeout(self._settings.run_lease_s):
                await retry_while_unavailable(lambda: self._resources.runs.discard(run_id))
            self.check_cancellation(run_id)
            if self._announce is not None and run_id not in self._tasks:
                await self._announce(run_id)
        except NotFoundError:
            pass  # the run was never stored
        except TimeoutError:
            logger.warning("run %s: not discarded, continues without a caller", run_id)

    def check_cancellation(self, run_id: str) -> None:
        """Check at once whether a run was cancelled, if this replica drives it."""
        if run_id in self._drivers:
            self._drivers[run_id].look()

    async def watch(self) -> None:
        """Take over abandoned runs and remove expired records, for ever."""
        await asyncio.gather(
            repeat_for_ever(self._take_over, LOOK_EVERY_S, SEARCH),
            repeat_for_ever(self._forget, FORGET_EVERY_S, SEARCH),
        )

    async def _take_over(self) -> None:
        while await self._take_over_next():
            pass

    async def _take_over_next(self) -> bool:
        token = uuid4().hex
        run = await self._resources.runs.claim(token, self._settings.run_lease_s)
        if run is None:
            return False
        logger.warning("run %s: taken over from another replica", run.run_id)
        if run.takeovers > MAX_TAKEOVERS:
            detail = (
                f"given up after {MAX_TAKEOVERS} attempts that came no further;"
                " the log has the causes"
            )
            problem = Refusal(INTERNAL_ERROR.code, detail, {})
            await self._open_driver(run, token).give_up(problem)
            return True
        self._drive(run, token)
        return True

    def _drive(self, run: Run, token: str, runner: ChunkRunner | None = None) -> None:
        driver = self._open_driver(run, token, runner)
        task = asyncio.create_task(self._run_driver(run.run_id, driver))
        self._tasks[run.run_id], self._drivers[run.run_id] = task, driver
        task.add_done_callback(lambda _: self._forget_driver(run.run_id, task))

    def _open_driver(self, run: Run, token: str, runner: ChunkRunner | None = None) -> RunDriver:
        runner = runner or self._open_runner(self._settings, self._resources)
        return RunDriver(self._settings, self._resources, run, token, runner)

    async def _run_driver(self, run_id: str, driver: RunDriver) -> None:
        correlation_id.set(driver.correlation_id)  # the request's id, also after a takeover
        try:
            await driver.drive()
        except FAILURES:
            raise  # because ``complete`` reports it to the caller
        except (LeaseLostError, StorageUnavailableError):
            logger.warning("run %s: lease lost, another replica continues", run_id)
        except Exception:
            logger.exception("run %s: failed unexpectedly, a replica takes it over", run_id)

    def _forget_driver(self, run_id: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(run_id) is task:
            del self._tasks[run_id], self._drivers[run_id]
        if not task.cancelled():
            task.exception()  # because asyncio otherwise logs an exception that nobody retrieved

    async def _forget(self) -> None:
        """Remove runs and rebalances older than the retention period."""
        if not self._settings.retention_days:
            return
        before = now() - timedelta(days=self._settings.retention_days)
        while expired := await self._resources.rebalances.list_older_than(
            before, DELETION_BATCH_SIZE
        ):
            for rebalance in expired:
                await _delete_rebalance(
                    self._resources.rebalances, rebalance.rebalance_id, rebalance.version
                )
        for run_id in await self._resources.runs.list_over_before(before):
            await self._resources.chunks.forget(run_id)
            await self._resources.runs.forget(run_id)


async def _delete_rebalance(rebalances: RebalanceStore, rebalance_id: str, version: int) -> None:
    # Errors are ignored, because another replica may delete the same rebalance.
    with suppress(NotFoundError, StaleVersionError):
        await rebalances.delete(rebalance_id, version)
