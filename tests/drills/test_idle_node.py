"""Node without a replica: it runs no proxy, so its pod never receives requests."""

import gc
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import ray
from ray import serve
from ray.cluster_utils import Cluster
from ray.serve.config import HTTPOptions, ProxyLocation

from storage.embedded.free_port import free_port

pytestmark = [pytest.mark.cluster, pytest.mark.apart]
NODE: dict[str, Any] = {"object_store_memory": 100_000_000}


class Empty:
    def __call__(self) -> str:
        return ""


@pytest.fixture
def workers() -> Iterator[tuple[str, str]]:
    """Start a head without processors, a worker for replicas and one without; yield the ids."""
    head = {**NODE, "num_cpus": 0, "include_dashboard": False}
    nodes = Cluster(initialize_head=True, head_node_args=head)
    busy = nodes.add_node(**NODE, num_cpus=1, resources={"replicas": 1})
    idle = nodes.add_node(**NODE, num_cpus=1)
    ray.init(address=nodes.address, log_to_driver=False)
    yield busy.node_id, idle.node_id
    serve.shutdown()
    ray.shutdown()
    nodes.shutdown()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of sockets that Ray leaves behind
        gc.collect()


def test_a_worker_without_a_replica_has_no_proxy(workers: tuple[str, str]) -> None:
    serve.start(
        proxy_location=ProxyLocation.EveryNode,
        http_options=HTTPOptions(host="127.0.0.1", port=free_port()),
    )
    options: dict[str, Any] = {"ray_actor_options": {"num_cpus": 0, "resources": {"replicas": 1}}}
    serve.run(serve.deployment(**options)(Empty).bind(), route_prefix="/")

    busy, idle = workers
    proxies = serve.status().proxies

    assert busy in proxies
    assert idle not in proxies
