"""A cluster node that dies in the middle of a run, with its replicas and tasks."""

import asyncio
import gc
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster
from ray.util.state import list_tasks

from storage.embedded.free_port import free_port
from tests.drills.drill import WITHIN_S, Drill
from tests.end_to_end.book import Book

pytestmark = [pytest.mark.cluster, pytest.mark.apart]
NODE: dict[str, Any] = {"num_cpus": 2, "object_store_memory": 200_000_000}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Start a cluster of two nodes, the head first, and the service on both."""
    head = {**NODE, "include_dashboard": True, "dashboard_port": free_port()}
    nodes = Cluster(initialize_head=True, head_node_args=head)
    nodes.add_node(**NODE)
    ray.init(address=nodes.address, log_to_driver=False)
    yield nodes
    ray.shutdown()
    nodes.shutdown()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ResourceWarning
        )  # of sockets that Ray leaves to the collector
        gc.collect()


def busy_on(node_id: str) -> int:
    """Count the tasks of runs on a node."""
    at_work: Any = [
        ("state", "=", "RUNNING"),
        ("name", "=", "chunk_task"),
        ("node_id", "=", node_id),
    ]
    return len(list_tasks(filters=at_work))


async def test_a_node_that_dies_in_the_middle_of_a_run_costs_no_portfolio_its_outcome(
    drill: Drill, book: Book, cluster: Cluster
) -> None:
    (node,) = cluster.worker_nodes
    async with drill.disturb_run(book.market.portfolio_ids()) as run:
        async with asyncio.timeout(WITHIN_S):
            while not await asyncio.to_thread(busy_on, node.node_id):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        cluster.remove_node(node, allow_graceful=False)
    assert run.end["status"] == "COMPLETED"
    assert run.end["errors"] == []
