"""Chunks of a run: the open chunks, the events, and the exclusive right to report."""

from datetime import UTC, datetime

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from optimization.domain.outcome import Status
from storage.errors import LeaseLostError
from storage.mongo.connection import Document
from storage.rebalances.rebalance import new_rebalance_id
from storage.runs.chunk_store import Chunk, ChunkStore, Report

pytestmark = pytest.mark.mongo


NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


PORTFOLIOS = tuple(f"{number:024}" for number in range(25))


@pytest.fixture
def chunks(database: AsyncDatabase[Document]) -> ChunkStore:
    return ChunkStore(database)


def chunks_of(rebalance_id: str, size: int = 10) -> list[Chunk]:
    return [
        Chunk(rebalance_id, first, PORTFOLIOS[first : first + size])
        for first in range(0, len(PORTFOLIOS), size)
    ]


async def test_open_chunks_are_what_is_left_in_order(chunks: ChunkStore) -> None:
    run_id, rebalance_id = new_rebalance_id(), new_rebalance_id()
    made = chunks_of(rebalance_id)
    await chunks.add(run_id, made)
    await chunks.add(run_id, made)  # a second time, because a plan may be stored twice
    await chunks.record_reports(
        run_id, 1, [(made[1], Report({Status.IN_BAND: 10}, {"SEPARABLE": 10}, {}))], NOW
    )
    assert [chunk async for chunk in chunks.stream_open(run_id)] == [made[0], made[2]]
    assert await chunks.count_open_by_rebalance(run_id) == {rebalance_id: 2}


async def test_more_open_chunks_than_a_page_come_all(chunks: ChunkStore) -> None:
    run_id = new_rebalance_id()
    made = [Chunk(new_rebalance_id(), 0, PORTFOLIOS[:1]) for _ in range(230)]
    await chunks.add(run_id, made)
    found = [chunk async for chunk in chunks.stream_open(run_id)]
    assert sorted(chunk.chunk_id for chunk in found) == [chunk.chunk_id for chunk in made]


async def test_events_begin_after_the_last_that_was_seen(chunks: ChunkStore) -> None:
    run_id, rebalance_id = new_rebalance_id(), new_rebalance_id()
    made = chunks_of(rebalance_id)
    await chunks.add(run_id, made)
    reports = [
        Report(
            {Status.REBALANCED: 9, Status.FAILED: 1},
            {"COVER": 9},
            {"solve": 0.25},
            proofs={"OPTIMAL": 9},
        ),
        Report({Status.FAILED: 5}, {}, {}, "the pricing service is unavailable"),
    ]
    await chunks.record_reports(run_id, 1, [(made[2], reports[0])], NOW)
    await chunks.record_reports(run_id, 2, [(made[0], reports[1])], NOW)
    events = await chunks.list_events(run_id)
    assert [(event.number, event.first, event.report) for event in events] == [
        (1, 20, reports[0]),
        (2, 0, reports[1]),
    ]
    assert await chunks.list_events(run_id, after=1) == events[1:]
    assert await chunks.list_errors(run_id, 10) == events[1:]


async def test_the_first_report_of_a_chunk_stands(chunks: ChunkStore) -> None:
    run_id = new_rebalance_id()
    (chunk,) = chunks_of(new_rebalance_id(), len(PORTFOLIOS))
    await chunks.add(run_id, [chunk])
    await chunks.record_reports(run_id, 1, [(chunk, Report({Status.IN_BAND: 25}, {}, {}))], NOW)
    await chunks.record_reports(run_id, 2, [(chunk, Report({Status.FAILED: 25}, {}, {}))], NOW)
    (event,) = await chunks.list_events(run_id)
    assert (event.number, event.report.counts) == (1, {Status.IN_BAND: 25})


async def test_two_that_work_on_one_run_do_not_give_one_number_twice(chunks: ChunkStore) -> None:
    run_id = new_rebalance_id()
    first, second, _ = made = chunks_of(new_rebalance_id())
    await chunks.add(run_id, made)
    report = Report({Status.IN_BAND: 10}, {}, {})
    await chunks.record_reports(run_id, 1, [(first, report)], NOW)
    with pytest.raises(LeaseLostError):
        await chunks.record_reports(run_id, 1, [(second, report)], NOW)
    assert [event.first for event in await chunks.list_events(run_id)] == [0]
