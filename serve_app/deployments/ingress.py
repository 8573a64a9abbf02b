"""Ingress: the deployment of the HTTP application, in front of the ports. Never loads CVXPY."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
import ray
from fastapi import FastAPI
from ray.serve.handle import DeploymentHandle

from serve_app.api.app import api_app
from serve_app.api.dependencies import Ports
from serve_app.deployments.handles import connect, reach
from serve_app.observability.logs import correlate_logs
from serve_app.observability.metrics import OBSERVERS, HttpMetrics, select_own_series
from serve_app.observability.traces import start_traces
from serve_app.ports.optimizer import Optimizer
from serve_app.ports.store import Store
from serve_app.rebalances.inline import InlineRebalancer
from serve_app.resources import open_resources
from serve_app.settings import Settings

METRICS_TIMEOUT_S = 5.0


class Ingress:
    """HTTP application, built inside the replica because handles work there alone."""

    def __init__(
        self, settings: Settings, store: DeploymentHandle[Any], optimizer: DeploymentHandle[Any]
    ) -> None:
        self._settings = settings
        correlate_logs()
        start_traces(settings)
        self._store = connect(Store, store)
        self._optimizer = connect(Optimizer, optimizer)

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Return the application that the proxy of Serve calls."""
        checks = {"database": self._store.ping}
        # The deployment that calls an upstream checks it, because its circuit breaker is there.
        of_optimizer, of_store = ("accounting", "pricing", "security"), ("order", "portfolio")
        upstreams = {name: partial(self._optimizer.check_upstream, name) for name in of_optimizer}
        upstreams |= {name: partial(self._store.check_upstream, name) for name in of_store}
        open_here = partial(open_resources, self._settings, OBSERVERS)
        inline = InlineRebalancer(self._settings, open_here, self._optimizer)
        read_metrics = partial(node_metrics, metrics_address())
        parts = Ports(self._store, self._optimizer, checks, read_metrics, upstreams, inline)
        return api_app(
            self._settings,
            parts,
            lifespan=self._reach_deployments,
            server_answers_request_id=True,  # because Serve's middleware sets X-Request-ID
            watch=HttpMetrics(),
        )

    @asynccontextmanager
    async def _reach_deployments(self, _: FastAPI) -> AsyncGenerator[None]:
        """Take requests only once the deployments behind this replica were reached."""
        await reach(self._store, self._optimizer)
        yield


def metrics_address() -> str:
    """Return where the Ray node of this replica serves its metrics.

    A replica calls it once, because the head node is asked and the event loop waits meanwhile.
    """
    here = ray.get_runtime_context().get_node_id()
    node = next(node for node in ray.nodes() if node["NodeID"] == here)
    return f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"


async def node_metrics(url: str) -> str:
    """Read the service's own metrics from a Ray node."""
    async with httpx.AsyncClient(trust_env=False, timeout=METRICS_TIMEOUT_S) as client:
        answer = await client.get(url)
    answer.raise_for_status()
    return select_own_series(answer.text)
