"""Run progress: finished and open chunks of a run, recorded in the database chunk by chunk."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from functools import reduce

from serve_app.observability.metrics import count_chunk
from serve_app.resources import Resources
from serve_app.retries import retry_while_unavailable
from storage.mongo.decimal_codec import now
from storage.runs.chunk_store import Chunk, Report, add_seconds
from storage.runs.run import Totals


class RunProgress:
    """Totals of one run, written by the holder of its lease."""

    def __init__(self, resources: Resources, run_id: str, token: str) -> None:
        self._resources = resources
        self._run_id = run_id
        self._token = token
        self._number = 0  # number of the last event
        self._one_at_a_time = asyncio.Lock()
        self._waiting: list[tuple[Chunk, Report]] = []
        self.totals = Totals()
        self.open_chunks: dict[str, int] = {}
        """Number of open chunks by rebalance id; rebalances without open chunks are left out."""

    async def resume(self) -> None:
        """Restore totals and open chunks from the database."""
        for event in await self._resources.chunks.list_events(self._run_id):
            self._number = event.number
            self.totals = _add_report(self.totals, event.report)
        self.open_chunks = await self._resources.chunks.count_open_by_rebalance(self._run_id)

    async def note(self, chunk: Chunk, report: Report) -> bool:
        """Store the report of a chunk; return whether it was the last chunk of its rebalance."""
        count_chunk(report)
        self._waiting.append((chunk, report))
        # One write at a time, because a follower reads events after the last number it has seen: a
        # lower number must not appear later. The next write stores all reports that arrive
        # meanwhile, so a busy run needs fewer writes per chunk.
        async with self._one_at_a_time:
            if self._waiting:
                await self._store(tuple(self._waiting))
        self.open_chunks[chunk.rebalance_id] -= 1
        if self.open_chunks[chunk.rebalance_id]:
            return False
        del self.open_chunks[chunk.rebalance_id]
        return True

    async def _store(self, reports: Sequence[tuple[Chunk, Report]]) -> None:
        """Store reports; after a failure they stay queued and keep their event numbers."""
        record_reports = self._resources.chunks.record_reports
        store_progress = self._resources.runs.store_progress
        first = self._number + 1
        totals = reduce(_add_report, (report for _, report in reports), self.totals)
        await retry_while_unavailable(lambda: record_reports(self._run_id, first, reports, now()))
        await retry_while_unavailable(
            lambda: store_progress(self._run_id, self._token, totals, now())
        )
        del self._waiting[: len(reports)]
        self._number += len(reports)
        self.totals = totals


def _add_report(totals: Totals, report: Report) -> Totals:
    return Totals(
        totals.chunks + 1,
        Counter(totals.counts) + Counter(report.counts),
        Counter(totals.methods) + Counter(report.methods),
        add_seconds(totals.seconds, report.seconds),
        proofs=Counter(totals.proofs) + Counter(report.proofs),
    )
