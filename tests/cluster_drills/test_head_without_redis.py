"""Loss of a head whose state nothing keeps."""

import asyncio

import pytest

from tests.cluster_drills.cluster import Cluster

pytestmark = [pytest.mark.apart, pytest.mark.container]

WATCH_S = 20.0


@pytest.fixture(scope="module")
def has_redis() -> bool:
    return False


async def test_workers_that_nobody_has_asked_go_on_without_a_head_until_there_is_a_new_one(
    cluster: Cluster, report: list[str]
) -> None:
    await asyncio.to_thread(cluster.head.kill)  # at once, so that no request warms a replica
    async with cluster.watch(*cluster.workers) as load:
        await asyncio.sleep(WATCH_S)
    report.append(load.tell("head lost after the deployment, without Redis", "w1", "w2"))
    assert load.failures("w1", "w2") == []
    assert load.late("w1", "w2") == []

    for worker in cluster.workers:  # as KubeRay does, which makes the cluster anew
        await asyncio.to_thread(worker.kill)
    cluster.start()
    await cluster.deploy()
    await cluster.wait_until_served()
