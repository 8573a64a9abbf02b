"""Processes that die in the middle of a run, and callers that leave it."""

import asyncio
import os
import signal
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.embedded import server as embedded
from storage.embedded.server import Server
from tests.drills.drill import (
    BALANCES,
    CHUNK_TASK,
    COORDINATOR,
    SLOW_S,
    WITHIN_S,
    Drill,
    find_log_lines,
    kill_processes,
)
from tests.end_to_end.book import Book
from tests.end_to_end.calls import make_portfolio_id

pytestmark = [pytest.mark.cluster, pytest.mark.apart]


@pytest.mark.parametrize("title", [CHUNK_TASK, COORDINATOR])
async def test_a_run_whose_processes_are_killed_ends_with_every_outcome_once(
    drill: Drill, book: Book, title: str
) -> None:
    async with drill.disturb_run(book.market.portfolio_ids()) as run, asyncio.timeout(WITHIN_S):
        while not kill_processes(title):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert run.end["status"] == "COMPLETED"
    assert run.end["errors"] == []


@pytest.mark.parametrize("title", [CHUNK_TASK, COORDINATOR])
async def test_a_run_over_a_file_whose_processes_are_killed_ends_with_every_outcome_once(
    drill: Drill, books: Path, title: str
) -> None:
    ids = [make_portfolio_id() for _ in range(3_000)]
    rows = {"portfolio_id": ids, "security_id": [None] * len(ids), "quantity": range(len(ids))}
    strings = pa.field("portfolio_id", pa.string()), pa.field("security_id", pa.string())
    table = pa.table(rows, pa.schema([*strings, pa.field("quantity", pa.decimal128(9, 2))]))
    pq.write_table(table.sort_by("portfolio_id"), books / "book.parquet", row_group_size=500)
    holdings = {"source": "file", "file": "book.parquet"}
    run_id = await drill.begin_run(await drill.add_model(ids), holdings=holdings)
    following = asyncio.create_task(drill.follow_events(run_id))

    await drill.wait_until_under_way(run_id)
    async with asyncio.timeout(WITHIN_S):
        while not kill_processes(title):  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    run = await drill.check_run(run_id, ids, await following)
    assert run["status"] == "COMPLETED"
    assert run["errors"] == []


async def test_a_waiting_caller_is_answered_in_full_though_the_coordinator_died(
    drill: Drill, book: Book
) -> None:
    ids = book.market.portfolio_ids()
    model_id = await drill.add_model(ids)
    with book.delay(BALANCES, SLOW_S):
        request = asyncio.create_task(drill.http.post(f"/api/v1/model/{model_id}/rebalance"))
        run_id = await _newest(drill)
        await drill.wait_until_under_way(run_id)
        assert kill_processes(COORDINATOR)
        answer = await request
    assert answer.status_code == 200, answer.text
    assert {outcome["rebalance_id"] for outcome in answer.json()} == {run_id}
    assert [outcome["portfolio_id"] for outcome in answer.json()] == list(ids)
    await drill.check_run(run_id, ids, await drill.follow_events(run_id))
    lines = find_log_lines(f"run {run_id}: taken over from another replica")
    assert {line["levelname"] for line in lines} == {"WARNING"}


async def test_a_database_that_is_killed_and_comes_back_loses_nothing(
    drill: Drill, book: Book, data: Path, server: Server
) -> None:
    async with drill.disturb_run(book.market.portfolio_ids()) as run:
        os.kill(_server_of(data), signal.SIGKILL)
        await asyncio.sleep(1)
        again = embedded.start(data)
        assert again.uri == server.uri
    assert run.end["status"] == "COMPLETED"
    assert run.end["errors"] == []


async def test_a_run_that_is_cancelled_keeps_what_was_done_and_says_how_much(
    drill: Drill, book: Book
) -> None:
    ids = book.market.portfolio_ids()
    async with drill.disturb_run(ids) as run:
        answer = await drill.http.delete(f"/api/v1/runs/{run.run_id}")
        assert (answer.status_code, answer.json()["status"]) == (202, "CANCELLING")
    assert run.end["status"] == "CANCELLED"
    assert 0 < run.end["portfolios"]["done"] < len(ids)


async def test_of_a_rebalance_whose_caller_hangs_up_nothing_stays(drill: Drill, book: Book) -> None:
    ids = book.market.portfolio_ids()
    model_id = await drill.add_model(ids)
    with book.delay(BALANCES, SLOW_S):
        request = asyncio.create_task(drill.http.post(f"/api/v1/model/{model_id}/rebalance"))
        run_id = await _newest(drill)
        await drill.wait_until_under_way(run_id)
        request.cancel()
        run = await drill.wait_until_over(run_id)
    assert (run["status"], run["counts"], run["rebalances"]) == ("CANCELLED", {}, [])
    assert await asyncio.to_thread(drill.read_statuses, run_id) == []


async def _newest(drill: Drill) -> str:
    """Wait until the newest run is under way; return its id."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            answer: httpx.Response = await drill.http.get("/api/v1/runs", params={"limit": 1})
            for run in answer.json():
                if run["status"] in {"QUEUED", "RUNNING"}:
                    return run["run_id"]
            await asyncio.sleep(0.05)


def _server_of(data: Path) -> int:
    (pid,) = processes_with(f"--dbpath={data.resolve()}/data")
    return pid


def processes_with(argument: str) -> list[int]:
    return [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and argument.encode() in _arguments(entry)
    ]


def _arguments(entry: Path) -> list[bytes]:
    try:
        return (entry / "cmdline").read_bytes().split(b"\0")
    except OSError:  # it ended meanwhile
        return []
