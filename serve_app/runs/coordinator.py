"""Coordinator: keeps the book runs of the database going, whichever replica they began in."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from uuid import uuid4

from optimization import Refusal
from serve_app.problems.catalogue import INTERNAL
from serve_app.resources import Resources
from serve_app.retries import retry_while_unavailable
from serve_app.runs.chunk_attempts import ChunkAttempts
from serve_app.runs.planner import now
from serve_app.runs.run_driver import RunDriver
from serve_app.settings import Settings
from serve_app.upstream.errors import FAILURES
from storage.errors import (
    LeaseLostError,
    NotFoundError,
    RunEndedError,
    StaleVersionError,
    StorageUnavailableError,
)
from storage.idempotency_store import IdempotencyClaim
from storage.rebalance_store import RebalanceStore
from storage.run import Run, RunStatus

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
FORGET_EVERY_S = 3600.0
DELETION_BATCH_SIZE = 100
MAX_TAKEOVERS = 20


class Coordinator:
    """Works on the runs that begin here, and takes over those whose replica died."""

    def __init__(
        self,
        settings: Settings,
        resources: Resources,
        attempts: type[ChunkAttempts] = ChunkAttempts,
        announce: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        """Make one; ``announce`` lets every coordinator look at a run, wherever it is worked on."""
        self._settings = settings
        self._with = resources
        self._attempts = attempts
        self._announce = announce
        self._going: dict[str, asyncio.Task[None]] = {}
        self._drives: dict[str, RunDriver] = {}
        self._cancelling: set[asyncio.Task[None]] = set()

    async def begin(self, run: Run, completes: IdempotencyClaim | None = None) -> Run:
        """Store a run and work on it from now on; one that was stored before is worked on already.

        Its caller may be told the run under the claim that it completes, also where this fails.
        """
        token = uuid4().hex
        try:
            lease_s = self._settings.run_lease_s
            if not await self._with.runs.add(run, token, lease_s, completes):
                return await self._with.runs.read(run.run_id)
        except (StorageUnavailableError, asyncio.CancelledError):
            # Perhaps it is stored all the same: what is said not to have begun must not go on.
            if completes is None:
                self._cancel(run.run_id)
            raise
        self._drive(run, token)
        return run  # not read again, because a run that goes on must not be answered by a failure

    async def completed(self, run: Run) -> None:
        """Store a run and return when every portfolio has its outcome; raise why that is not so.

        A caller that stops waiting for it, or is told that the database is away, ends it, and nothing
        of it stays.
        """
        with self._cancelled_with_caller(run.run_id):
            await self.begin(run)
            await self._over(run.run_id)

    async def over(self, run_id: str) -> None:
        """Return when every portfolio of a run that was stored before has its outcome."""
        with self._cancelled_with_caller(run_id):
            await self._over(run_id)

    async def _over(self, run_id: str) -> None:
        if run_id in self._going:
            await asyncio.shield(self._going[run_id])
        # Elsewhere, or let go because the database was away for long: whoever goes on with it ends it.
        lease_s = self._settings.run_lease_s
        read = partial(self._with.runs.read, run_id)
        while True:
            run = await retry_while_unavailable(read, lease_s)
            if run.status.is_over:
                break
            await asyncio.sleep(LOOK_EVERY_S / 4)
        if run.status is not RunStatus.COMPLETED:
            raise RunEndedError(run_id, run.status, run.problem)

    @contextmanager
    def _cancelled_with_caller(self, run_id: str) -> Generator[None]:
        try:
            yield
        except (StorageUnavailableError, asyncio.CancelledError):
            self._cancel(run_id)
            raise

    def _cancel(self, run_id: str) -> None:
        # By a task of its own: what was cancelled may be cancelled again.
        task = asyncio.get_running_loop().create_task(self._cancelled(run_id))
        self._cancelling.add(task)
        task.add_done_callback(self._cancelling.discard)

    async def _cancelled(self, run_id: str) -> None:
        try:
            async with asyncio.timeout(self._settings.run_lease_s):
                await retry_while_unavailable(lambda: self._with.runs.discard(run_id))
            self.look_at(run_id)
            if self._announce is not None and run_id not in self._going:
                await self._announce(run_id)
        except NotFoundError:
            pass  # it never began
        except TimeoutError:
            logger.warning("run %s goes on, though nobody waits for it", run_id)

    def look_at(self, run_id: str) -> None:
        """Look at once whether a run was cancelled, if it is worked on here."""
        if run_id in self._drives:
            self._drives[run_id].look()

    async def watch(self) -> None:
        """Take over unfinished runs that nobody works on, and remove what is old, for ever."""
        await asyncio.gather(
            _repeated(self._take_over, LOOK_EVERY_S), _repeated(self._forget, FORGET_EVERY_S)
        )

    async def _take_over(self) -> None:
        while await self._taken_over():
            pass

    async def _taken_over(self) -> bool:
        token = uuid4().hex
        run = await self._with.runs.claim(token, self._settings.run_lease_s)
        if run is None:
            return False
        logger.warning("run %s is taken over", run.run_id)
        if run.takeovers > MAX_TAKEOVERS:
            detail = f"given up after {MAX_TAKEOVERS} attempts that came no further; the log has the causes"
            problem = Refusal(INTERNAL.code, detail, {})
            await self._drive_of(run, token).give_up(problem)
            return True
        self._drive(run, token)
        return True

    def _drive(self, run: Run, token: str) -> None:
        drive = self._drive_of(run, token)
        task = asyncio.create_task(self._driven(run.run_id, drive))
        self._going[run.run_id], self._drives[run.run_id] = task, drive
        task.add_done_callback(lambda _: self._ended(run.run_id, task))

    def _drive_of(self, run: Run, token: str) -> RunDriver:
        return RunDriver(self._settings, self._with, run, token, self._attempts)

    async def _driven(self, run_id: str, drive: RunDriver) -> None:
        try:
            await drive.drive()
        except FAILURES:
            raise  # to whoever waits for the run
        except (LeaseLostError, StorageUnavailableError):
            logger.warning("run %s is let go: another goes on with it", run_id)
        except Exception:
            logger.exception("run %s is let go: it is tried again", run_id)

    def _ended(self, run_id: str, task: asyncio.Task[None]) -> None:
        if self._going.get(run_id) is task:
            del self._going[run_id], self._drives[run_id]
        if not task.cancelled():
            task.exception()  # nobody may wait for it

    async def _forget(self) -> None:
        """Remove what is older than it is to be kept."""
        if not self._settings.retention_days:
            return
        before = now() - timedelta(days=self._settings.retention_days)
        while runs := await self._with.rebalances.older_than(before, DELETION_BATCH_SIZE):
            for run in runs:
                await _forgotten(self._with.rebalances, run.rebalance_id, run.version)
        for run_id in await self._with.runs.over_before(before):
            await self._with.chunks.forget(run_id)
            await self._with.runs.forget(run_id)


async def _repeated(call: Callable[[], Awaitable[None]], every_s: float) -> None:
    while True:
        try:
            await call()
        except StorageUnavailableError:
            logger.warning("the database does not answer; runs are looked for again")
        except Exception:
            logger.exception("looking for runs failed; it is tried again")
        await asyncio.sleep(every_s)


async def _forgotten(rebalances: RebalanceStore, rebalance_id: str, version: int) -> None:
    # Another replica may be at the same.
    with suppress(NotFoundError, StaleVersionError):
        await rebalances.delete(rebalance_id, version)
