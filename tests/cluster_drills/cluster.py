"""Cluster of a head and two workers, deployed as KubeRay deploys it, and clients that watch it."""

import asyncio
import subprocess
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from tests.cluster_drills.network import address
from tests.cluster_drills.node import Node
from tests.cluster_drills.servers import REDIS_PASSWORD, REDIS_PORT

KUBERAY: Final = Path(__file__).parents[2] / "kuberay"
TOKEN: Final = "0123456789abcdef0123456789abcdef"
DASHBOARD: Final = f"http://{address('head')}:8265"
SERVE_WITHIN_S: Final = 240.0
WAIT_S: Final = 10.0  # a client waits so long, and says so
LATE_S: Final = 2.0
PAUSE_S: Final = 0.2
MEMORY: Final = ("--memory=4000000000", "--object-store-memory=200000000")


def environment_of_the_manifests(redis: bool, **more: str) -> dict[str, str]:
    """Return the environment that the manifests give to every pod, with the drill's addresses."""
    service = yaml.safe_load((KUBERAY / "base/rayservice.yaml").read_text())
    head = service["spec"]["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]
    variables = {variable["name"]: variable["value"] for variable in head["containers"][0]["env"]}
    operator = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    if redis:
        operator |= {
            "RAY_REDIS_ADDRESS": f"{address('redis')}:{REDIS_PORT}",
            "REDIS_PASSWORD": REDIS_PASSWORD,
            "RAY_external_storage_namespace": "drill",
            "RAY_gcs_rpc_server_reconnect_timeout_s": "600",
        }
    return {**variables, **operator, **more}


def head_command(redis: bool) -> list[str]:
    options = ["--num-cpus=0", "--dashboard-host=0.0.0.0", "--port=6379"]
    options += [f"--redis-password={REDIS_PASSWORD}"] if redis else []
    return ["ray", "start", "--head", *_common("head"), *options]


def worker_command(host: str) -> list[str]:
    return ["ray", "start", f"--address={address('head')}:6379", *_common(host), "--num-cpus=2"]


def _common(host: str) -> list[str]:
    return ["--block", f"--node-ip-address={address(host)}", "--metrics-export-port=8080", *MEMORY]


def serve_config() -> dict[str, Any]:
    return yaml.safe_load((KUBERAY / "base/serve_config.yaml").read_text())


@dataclass(frozen=True)
class Request:
    """A client's request through a node, with its result."""

    node: str
    begin: float
    seconds: float
    outcome: str
    """The status, or the name of the error of a connection."""

    @property
    def is_answered(self) -> bool:
        return self.outcome == "200"


@dataclass
class Load:
    """Requests of clients through every node, several times a second."""

    begin: float = field(default_factory=time.monotonic)
    requests: list[Request] = field(default_factory=list[Request])

    def failures(self, *nodes: str) -> list[Request]:
        return [
            request
            for request in self.requests
            if request.node in nodes and not request.is_answered
        ]

    def late(self, *nodes: str) -> list[Request]:
        """List the requests that took longer than their time-out."""
        return [
            request
            for request in self.requests
            if request.node in nodes and request.seconds > WAIT_S + LATE_S
        ]

    def outage_s(self, node: str) -> float:
        """Compute the longest time without a 200 through a node."""
        good = [
            request.begin + request.seconds for request in self.requests if _good(request, node)
        ]
        moments = [self.begin, *good]
        return max((b - a for a, b in pairwise(moments)), default=0.0)

    def tell(self, drill: str, *nodes: str) -> str:
        parts = [
            f"{node}: {sum(_good(request, node) for request in self.requests)} answered,"
            f" {_count(self.failures(node))} failed, longest gap {self.outage_s(node):.1f} s"
            for node in nodes
        ]
        return f"{drill}: {'; '.join(parts)}"


def _good(request: Request, node: str) -> bool:
    return request.node == node and request.is_answered


def _count(failures: list[Request]) -> str:
    kinds = sorted({request.outcome for request in failures})
    return f"{len(failures)} ({', '.join(kinds)})" if failures else "0"


@dataclass
class Cluster:
    """Head and workers, and the key of their administrator."""

    head: Node
    workers: tuple[Node, ...]
    key: str = ""

    @property
    def nodes(self) -> tuple[Node, ...]:
        return (self.head, *self.workers)

    def start(self) -> None:
        for node in self.nodes:
            node.start()

    def end(self) -> None:
        for node in reversed(self.nodes):
            if node.is_running():
                node.kill()

    async def deploy(self, **arguments: str) -> None:
        """Submit the Serve configuration of the manifests, as the operator does."""
        content = serve_config()
        content["applications"][0]["args"] |= arguments
        async with asyncio.timeout(SERVE_WITHIN_S):
            while True:
                with suppress(httpx.TransportError):
                    answer = await self._ask_dashboard("PUT", content)
                    if answer.is_success:
                        return
                await asyncio.sleep(1)

    async def _ask_dashboard(self, method: str, content: object = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(headers=headers, timeout=30, trust_env=False) as client:
            return await client.request(
                method, f"{DASHBOARD}/api/serve/applications/", json=content
            )

    async def read_application(self) -> str:
        """Return the state of the application; empty while nobody knows."""
        with suppress(httpx.TransportError):
            answer = await self._ask_dashboard("GET")
            if answer.is_success:
                return next(iter(answer.json()["applications"].values()), {}).get("status", "")
        return ""

    async def wait_until_served(self, *nodes: Node) -> None:
        """Wait until the application runs and these nodes answer clients."""
        async with asyncio.timeout(SERVE_WITHIN_S):
            while await self.read_application() != "RUNNING":  # noqa: ASYNC110
                await asyncio.sleep(1)
            for node in nodes or self.nodes:
                while not await is_served(node):  # noqa: ASYNC110
                    await asyncio.sleep(0.5)

    def make_key(self) -> str:
        """Make the first key, in the head as the manual says."""
        command = ("ordergen", "keys", "create", "drill", "--role", "admin", "--database")
        try:
            output = self.head.run(*command)
        except subprocess.CalledProcessError as error:
            raise AssertionError(error.stdout + error.stderr) from error
        return next(word for word in output.split() if word.startswith("ordergen_"))

    def client(self, node: Node) -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {self.key}"}
        return httpx.AsyncClient(base_url=node.url, headers=headers, timeout=60, trust_env=False)

    @asynccontextmanager
    async def watch(self, *nodes: Node) -> AsyncGenerator[Load]:
        """Send requests through these nodes during the block."""
        load, over = Load(), asyncio.Event()
        asking = [asyncio.create_task(self._ask(node, load, over)) for node in nodes]
        try:
            yield load
        finally:
            over.set()
            await asyncio.gather(*asking)

    async def _ask(self, node: Node, load: Load, over: asyncio.Event) -> None:
        headers = {"authorization": f"Bearer {self.key}", "x-request-timeout": f"{WAIT_S:.0f}"}
        while not over.is_set():
            begin = time.monotonic()
            # A connection each, because a client that is new must be served, too.
            async with httpx.AsyncClient(timeout=3 * WAIT_S, trust_env=False) as client:
                try:
                    answer = await client.get(
                        f"{node.url}/api/v1/models", params={"limit": 1}, headers=headers
                    )
                    outcome = str(answer.status_code)
                except httpx.TransportError as error:
                    outcome = type(error).__name__
            seconds = time.monotonic() - begin
            load.requests.append(Request(node.host, begin, seconds, outcome))
            await asyncio.sleep(PAUSE_S)


async def is_served(node: Node) -> bool:
    """Return whether the readiness probe of the manifests succeeds on a node."""
    with suppress(httpx.TransportError):
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            return (await client.get(f"{node.url}/-/healthz")).is_success
    return False


async def wait_for(condition: Callable[[], bool], within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110
            await asyncio.sleep(0.2)
