"""Run progress: reports of chunks that end at the same time."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from optimization.domain.outcome import Status
from serve_app.resources import Resources
from serve_app.runs.progress import RunProgress
from storage.errors import LeaseLostError, StorageUnavailableError
from storage.rebalances.rebalance import new_rebalance_id
from storage.runs.chunk_store import Chunk, ChunkStore, Report
from tests.support.runs import make_portfolio_ids, make_run

pytestmark = pytest.mark.mongo
COUNT = 30
REPORT = Report({Status.IN_BAND: 1}, {"SEPARABLE": 1}, {"solve": 0.5}, proofs={"OPTIMAL": 1})


class Watched(ChunkStore):
    """Chunk store that counts writes; the second write fails once, after it was made."""

    def __init__(self, database: Any) -> None:
        super().__init__(database)
        self.writes = 0

    async def record_reports(
        self,
        run_id: str,
        first_number: int,
        reports: Sequence[tuple[Chunk, Report]],
        done_at: datetime,
    ) -> None:
        self.writes += 1
        await super().record_reports(run_id, first_number, reports, done_at)
        if self.writes == 2:
            raise StorageUnavailableError("the database did not answer in time")


@pytest.fixture
def chunks(database: Any) -> Watched:
    return Watched(database)


async def begin_progress(resources: Resources, chunks: Watched) -> tuple[RunProgress, list[Chunk]]:
    """Store a run with a lease, and its chunks of one portfolio each."""
    run, rebalance_id = make_run(), new_rebalance_id()
    made = [Chunk(rebalance_id, at, (one,)) for at, one in enumerate(make_portfolio_ids(COUNT))]
    await chunks.add(run.run_id, made)
    await resources.runs.add(run, "us", 60)
    tally = RunProgress(replace(resources, chunks=chunks), run.run_id, "us")
    await tally.resume()
    return tally, made


async def test_chunks_that_are_done_together_are_written_together_each_under_its_own_number(
    resources: Resources, chunks: Watched
) -> None:
    tally, made = await begin_progress(resources, chunks)

    were_last = await asyncio.gather(*(tally.note(chunk, REPORT) for chunk in made))

    assert chunks.writes < COUNT / 2
    (run,), _ = await resources.runs.read_page(0, 10)
    events = await chunks.list_events(run.run_id)
    assert [event.number for event in events] == list(range(1, COUNT + 1))
    assert sorted(event.first for event in events) == list(range(COUNT))
    assert run.totals.chunks == tally.totals.chunks == COUNT
    assert run.totals.counts == {Status.IN_BAND: COUNT}
    assert run.totals.seconds == {"solve": COUNT / 2}
    assert were_last.count(True) == 1
    assert tally.open_chunks == {}


async def test_who_lost_the_lease_notes_nothing_more_whoever_writes_it(
    resources: Resources, chunks: Watched
) -> None:
    tally, made = await begin_progress(resources, chunks)
    (run,), _ = await resources.runs.read_page(0, 10)
    await chunks.record_reports(run.run_id, 1, [(made[0], REPORT)], run.created_at)  # by another

    noted = await asyncio.gather(
        *(tally.note(chunk, REPORT) for chunk in made[1:]), return_exceptions=True
    )

    assert {type(error) for error in noted} == {LeaseLostError}
    assert [event.first for event in await chunks.list_events(run.run_id)] == [0]
