"""A replica set that loses its primary in the middle of a run."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drills.drill import Drill, find_log_lines
from tests.drills.replica_set import ReplicaSet, run_replica_set
from tests.end_to_end.book import Book

pytestmark = [pytest.mark.cluster, pytest.mark.apart]


@pytest.fixture(scope="module")
def server(data: Path) -> Iterator[ReplicaSet]:
    """Run three servers instead of one."""
    with run_replica_set(data) as whole:
        yield whole


async def test_a_primary_that_is_killed_costs_no_portfolio_its_outcome(
    drill: Drill, book: Book, server: ReplicaSet
) -> None:
    async with drill.disturb_run(book.market.portfolio_ids()) as run:
        before = await asyncio.to_thread(server.primary)
        os.kill(before, signal.SIGKILL)
    assert await asyncio.to_thread(server.primary) != before
    assert run.end["status"] == "COMPLETED"
    assert run.end["errors"] == [], find_log_lines("failed unexpectedly")
