"""A head that is lost where nothing keeps its state."""

import asyncio

import pytest

from tests.cluster_drills.cluster import Cluster

pytestmark = [pytest.mark.apart, pytest.mark.container]

WARM_S = 10.0
WATCH_S = 20.0


@pytest.fixture(scope="module")
def has_redis() -> bool:
    return False


async def test_workers_that_have_served_go_on_until_a_new_head_needs_new_ones(
    cluster: Cluster, told: list[str]
) -> None:
    async with cluster.watch(*cluster.workers) as load:
        # First, because a replica that has never called another one asks the head where it is.
        await asyncio.sleep(WARM_S)
        await asyncio.to_thread(cluster.head.kill)
        await asyncio.sleep(WATCH_S)
    told.append(load.tell("head lost, without Redis", "w1", "w2"))
    assert load.late("w1", "w2") == []

    for worker in cluster.workers:  # as KubeRay does, which makes the cluster anew
        await asyncio.to_thread(worker.kill)
    cluster.start()
    await cluster.deploy()
    await cluster.wait_until_served()
