"""Loss of single parts of a cluster, as clients of the other parts see it."""

import asyncio
import time

import pytest

from tests.cluster_drills.cluster import Cluster, wait_for
from tests.cluster_drills.network import cut_link, mend_link
from tests.cluster_drills.servers import ReplicaSet
from tests.drills.drill import CHUNK_TASK, INGRESS, Drill
from tests.end_to_end.book import Book

pytestmark = [pytest.mark.apart, pytest.mark.container]

LINK_DOWN_S = 30.0
# Each watcher of a node has one request under way.
UNDER_WAY = 2
HEAD_LOST_S = 20.0
# The election of MongoDB takes 10 s and a little.
ELECTION_S = 25.0
WITHIN_S = 120.0


@pytest.fixture(autouse=True)
async def whole(cluster: Cluster) -> None:
    """Begin each drill with a cluster in which every node serves."""
    for node in cluster.nodes:
        if not node.is_running():
            node.start()
    await cluster.wait_until_served()


async def test_every_node_serves_and_a_run_is_spread_over_the_workers(
    cluster: Cluster, drill: Drill, book: Book, report: list[str]
) -> None:
    busy: set[str] = set()
    async with drill.disturb_run(book.market.portfolio_ids()) as run:
        until = time.monotonic() + WITHIN_S
        while len(busy) < 2 and time.monotonic() < until:
            busy |= {node.host for node in cluster.nodes if node.processes(CHUNK_TASK)}
            await asyncio.sleep(0.1)

    assert busy == {"w1", "w2"}
    assert run.end["status"] == "COMPLETED"
    report.append(f"run: {run.end['portfolios']['done']} outcomes, chunks on {sorted(busy)}")


async def test_a_worker_that_is_killed_costs_no_request_and_no_outcome(
    cluster: Cluster, drill: Drill, book: Book, report: list[str]
) -> None:
    lost, living = cluster.workers
    async with (
        drill.disturb_run(book.market.portfolio_ids()) as run,
        cluster.watch(cluster.head, living) as load,
    ):
        await asyncio.to_thread(lost.kill)
        await asyncio.sleep(30)

    report.append(load.tell("worker killed", "head", "w2"))
    assert run.end["status"] == "COMPLETED"
    assert run.end["errors"] == []
    assert len(load.failures("head", "w2")) <= UNDER_WAY
    assert load.late("head", "w2") == []


async def test_a_link_that_is_down_for_half_a_minute_costs_no_outcome(
    cluster: Cluster, drill: Drill, book: Book, report: list[str]
) -> None:
    cut, living = cluster.workers
    async with (
        drill.disturb_run(book.market.portfolio_ids()) as run,
        cluster.watch(cluster.head, living) as load,
    ):
        cut_link(cut.host)
        await asyncio.sleep(LINK_DOWN_S)
        mend_link(cut.host)
        await asyncio.sleep(5)

    report.append(load.tell("link down", "head", "w2"))
    assert run.end["status"] == "COMPLETED"
    assert load.late("head", "w2") == []
    # Kubernetes starts a pod anew whose node Ray has given up.
    await asyncio.to_thread(cut.kill)


async def test_a_primary_that_is_lost_costs_the_seconds_of_an_election(
    cluster: Cluster, drill: Drill, book: Book, database: ReplicaSet, report: list[str]
) -> None:
    before = await asyncio.to_thread(database.primary)
    async with (
        drill.disturb_run(book.market.portfolio_ids()) as run,
        cluster.watch(*cluster.nodes) as load,
    ):
        await asyncio.to_thread(database.kill, before)
        assert await asyncio.to_thread(database.primary) != before
        await asyncio.sleep(5)

    report.append(load.tell("primary lost", "head", "w1", "w2"))
    assert run.end["status"] == "COMPLETED"
    assert run.end["errors"] == []
    assert load.late("head", "w1", "w2") == []
    assert max(load.outage_s(node.host) for node in cluster.nodes) < ELECTION_S


async def test_a_head_that_is_lost_and_comes_back_costs_the_workers_nothing(
    cluster: Cluster, drill: Drill, book: Book, report: list[str]
) -> None:
    async with (
        drill.disturb_run(book.market.portfolio_ids()) as run,
        cluster.watch(*cluster.workers) as load,
    ):
        await asyncio.to_thread(cluster.head.kill)
        await asyncio.sleep(HEAD_LOST_S)
        cluster.head.start()
        await cluster.wait_until_served()

    report.append(load.tell("head lost, with Redis", "w1", "w2"))
    assert run.end["status"] == "COMPLETED"
    assert run.end["errors"] == []
    assert load.failures("w1", "w2") == []


async def test_a_changed_application_replaces_the_replicas_one_after_the_other(
    cluster: Cluster, report: list[str]
) -> None:
    def ingresses() -> set[int]:
        return {process for node in cluster.workers for process in node.processes(INGRESS)}

    before = ingresses()
    async with cluster.watch(*cluster.nodes) as load:
        await cluster.deploy(run_window="32")
        await wait_for(lambda: not ingresses() & before, WITHIN_S)
        await cluster.wait_until_served()
        await asyncio.sleep(5)

    report.append(load.tell("rolling upgrade", "head", "w1", "w2"))
    assert len(before) == len(ingresses()) == 2
    assert load.failures("head", "w1", "w2") == []
    assert load.late("head", "w1", "w2") == []


async def test_a_worker_that_is_drained_costs_no_request_and_no_outcome(
    cluster: Cluster, drill: Drill, book: Book, report: list[str]
) -> None:
    drained, living = cluster.workers
    async with (
        drill.disturb_run(book.market.portfolio_ids()) as run,
        cluster.watch(cluster.head, living) as load,
    ):
        await asyncio.sleep(10)  # preStop of the manifests, while the endpoint is removed
        seconds = await asyncio.to_thread(drained.stop)
        await asyncio.sleep(20)

    report.append(load.tell(f"drain ({seconds:.0f} s)", "head", "w2"))
    assert run.end["status"] == "COMPLETED"
    assert run.end["errors"] == []
    assert load.late("head", "w2") == []
    await wait_for(lambda: not drained.is_running(), WITHIN_S)
