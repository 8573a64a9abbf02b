"""Drift scans: measure the whole book in the background, page by page, and store the lines."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar
from uuid import uuid4

import stamina
from ray.exceptions import RayError

from optimization import BandStatus, PricedTarget, Refusal
from serve_app.call_context import correlation_id
from serve_app.chunks.fetch import UNPRICED, price_model
from serve_app.concurrency import for_each_in_window
from serve_app.leases import hold_lease
from serve_app.problems.catalogue import INTERNAL_ERROR
from serve_app.problems.error_table import build_refusal
from serve_app.rebalances.drift import summarize_failures
from serve_app.rebalances.drift_tasks import Measure, OpenMeter, open_task_meter
from serve_app.resources import Resources
from serve_app.retries import repeat_for_ever, retry_while_unavailable
from serve_app.runs.planner import stream_followers
from serve_app.settings import Settings
from serve_app.upstream.errors import FAILURES, PASSING
from serve_app.upstream.prices import PriceSnapshot
from storage.drift.scan import DriftScan, make_drift_line
from storage.errors import LeaseLostError, StorageUnavailableError
from storage.mongo.decimal_codec import now

logger = logging.getLogger(__name__)

PAGE_SIZE: Final = 500  # portfolios that a task measures
MAX_KEPT_SCANS: Final = 3  # finished, because somebody may be reading an earlier scan
MAX_TAKEOVERS: Final = 5
LOOK_EVERY_S: Final = 2.0
PAUSE_S: Final = 0.5
MAX_PAUSE_S: Final = 8.0
TRANSIENT: Final = (*PASSING, RayError)
R = TypeVar("R")


class DriftScanner:
    """Drives the scans that begin in this replica, and takes over one whose replica died."""

    def __init__(
        self, settings: Settings, resources: Resources, open_meter: OpenMeter = open_task_meter
    ) -> None:
        self._settings = settings
        self._resources = resources
        self._open_meter = open_meter
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self, scan: DriftScan) -> DriftScan:
        """Store a scan and drive it from now on, or return the scan that is under way."""
        token = uuid4().hex
        current_scan, is_new = await self._resources.drift_scans.add(
            scan, token, self._settings.run_lease_s
        )
        if is_new:
            self._drive(current_scan, token)
        return current_scan

    @property
    def going(self) -> Sequence[asyncio.Task[None]]:
        """The work on the scans of this replica."""
        return tuple(self._tasks)

    async def watch(self) -> None:
        """Take over abandoned scans, for ever."""
        await repeat_for_ever(self.take_over, LOOK_EVERY_S, "search for drift scans")

    async def take_over(self) -> None:
        """Take over the scan whose replica died, if there is one."""
        token = uuid4().hex
        scan = await self._resources.drift_scans.claim(token, self._settings.run_lease_s)
        if scan is not None:
            logger.warning("drift scan %s: taken over from another replica", scan.scan_id)
            self._drive(scan, token)

    def _drive(self, scan: DriftScan, token: str) -> None:
        driver = _ScanDriver(self._settings, self._resources, self._open_meter, scan, token)
        task = asyncio.create_task(driver.drive())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@dataclass(frozen=True, slots=True)
class _Page:
    """Portfolios that follow a model, and its priced targets or the error of their prices.

    ``place`` is the place of the first portfolio in the book.
    """

    place: int
    model_id: str
    securities: tuple[PricedTarget, ...] | Exception
    portfolio_ids: Sequence[str]


class _ScanDriver:
    """Driver of one scan, from its beginning to its end, while it holds the lease."""

    def __init__(
        self,
        settings: Settings,
        resources: Resources,
        open_meter: OpenMeter,
        scan: DriftScan,
        token: str,
    ) -> None:
        self._settings = settings
        self._resources = resources
        self._open_meter = open_meter
        self._scan = scan
        self._token = token
        self._counts = Counter[BandStatus]()
        self._one_at_a_time = asyncio.Lock()

    async def drive(self) -> None:
        """Work until the scan is over, or another replica may have taken it over."""
        correlation_id.set(self._scan.correlation_id)  # the request's id, also after a takeover
        scan_id, token, lease_s = self._scan.scan_id, self._token, self._settings.run_lease_s
        renew = self._resources.drift_scans.renew
        try:
            await hold_lease(scan_id, lease_s, lambda: renew(scan_id, token, lease_s), self._work())
        except (LeaseLostError, StorageUnavailableError):
            logger.warning("drift scan %s: lease lost, another replica continues", scan_id)
        except Exception:
            logger.exception("drift scan %s failed unexpectedly", scan_id)

    async def _work(self) -> None:
        problem = await self._measure()
        end, scan_id = self._resources.drift_scans.end, self._scan.scan_id
        finished_at = now()
        await retry_while_unavailable(
            lambda: end(scan_id, self._token, finished_at, self._counts, problem)
        )
        for scan_id_to_forget in await self._resources.drift_scans.list_older(MAX_KEPT_SCANS):
            await self._resources.drift_lines.forget(scan_id_to_forget)
            await self._resources.drift_scans.forget(scan_id_to_forget)

    async def _measure(self) -> Refusal | None:
        """Measure the book; return the reason if the measurement is given up."""
        if self._scan.takeovers > MAX_TAKEOVERS:
            return Refusal(INTERNAL_ERROR.code, f"given up after {MAX_TAKEOVERS} attempts", {})
        try:
            await self._measure_book()
        except FAILURES as error:
            return build_refusal(error)
        except (LeaseLostError, StorageUnavailableError):
            raise
        except Exception:
            logger.exception("drift scan %s failed unexpectedly", self._scan.scan_id)
            return Refusal(INTERNAL_ERROR.code, "it failed unexpectedly; the log has the cause", {})
        return None

    async def _measure_book(self) -> None:
        if self._scan.takeovers:
            await self._resources.drift_lines.forget(self._scan.scan_id)
        followers = [
            len(portfolio_ids)
            async for _, portfolio_ids in stream_followers(self._resources.models)
        ]
        scans = self._resources.drift_scans
        await scans.store_number(self._scan.scan_id, self._token, sum(followers))
        snapshot = await self._retry(self._resources.prices.read_snapshot)
        measure = self._open_meter(self._settings, self._resources, snapshot)
        await for_each_in_window(
            self._stream_pages(snapshot),
            lambda page: self._record(page, measure),
            window=lambda: self._settings.run_window,
        )

    async def _stream_pages(self, snapshot: PriceSnapshot) -> AsyncIterator[_Page]:
        """Yield the book page by page, with the prices of its models."""
        place = 0
        async for model, portfolio_ids in stream_followers(self._resources.models):
            targets_or_error: tuple[PricedTarget, ...] | Exception
            try:
                targets_or_error = await self._retry(
                    lambda model=model: price_model(model, self._resources.securities, snapshot)
                )
            except UNPRICED as error:
                targets_or_error = error
            for first in range(0, len(portfolio_ids), PAGE_SIZE):
                ids = portfolio_ids[first : first + PAGE_SIZE]
                yield _Page(place, str(model.model_id), targets_or_error, ids)
                place += len(ids)

    async def _record(self, page: _Page, measure: Measure) -> None:
        """Measure a page, and store its lines."""
        securities = page.securities
        if isinstance(securities, Exception):
            summaries = summarize_failures(page.portfolio_ids, securities)
        else:
            summaries = await self._retry(lambda: measure(securities, page.portfolio_ids))
        lines = [make_drift_line(page.model_id, summary) for summary in summaries]
        record_lines = self._resources.drift_lines.record
        store_progress = self._resources.drift_scans.store_progress
        await retry_while_unavailable(lambda: record_lines(self._scan, page.place, lines))
        # One write at a time, because otherwise the progress could go back.
        async with self._one_at_a_time:
            self._counts.update(line.status for line in lines)
            await retry_while_unavailable(
                lambda: store_progress(self._scan.scan_id, self._token, self._counts)
            )

    async def _retry(self, call: Callable[[], Awaitable[R]]) -> R:
        async for attempt in stamina.retry_context(
            TRANSIENT,
            attempts=self._settings.run_chunk_tries,
            timeout=None,
            wait_initial=PAUSE_S,
            wait_max=MAX_PAUSE_S,
        ):
            with attempt:
                return await call()
        raise AssertionError
