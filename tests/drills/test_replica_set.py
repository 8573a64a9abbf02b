"""A replica set that loses its primary in the middle of a run."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drills.drill import BALANCES, SLOW_S, Drill
from tests.drills.replica_set import ReplicaSet, replica_set
from tests.service.book import Book

pytestmark = [pytest.mark.cluster, pytest.mark.apart]


@pytest.fixture(scope="module")
def server(data: Path) -> Iterator[ReplicaSet]:
    """Three servers in place of one."""
    with replica_set(data) as whole:
        yield whole


async def test_a_primary_that_is_killed_costs_no_portfolio_its_outcome(
    drill: Drill, book: Book, server: ReplicaSet
) -> None:
    ids = book.market.portfolio_ids()
    run_id = await drill.begun(await drill.model(ids))
    following = asyncio.create_task(drill.followed(run_id))
    with book.slow(BALANCES, SLOW_S):
        await drill.in_the_middle(run_id)
        before = await asyncio.to_thread(server.primary)
        os.kill(before, signal.SIGKILL)
        run = await drill.check(run_id, ids, await following)
        assert await asyncio.to_thread(server.primary) != before
    assert run["status"] == "COMPLETED"
    assert run["errors"] == []
