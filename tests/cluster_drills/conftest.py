"""Fixtures of the drills of a cluster: the network, its servers, and a cluster with Redis."""

import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from container.build import file_system_of_last_build
from container.engine import lock_images
from serve_app.simulator import Market
from tests.cluster_drills.cluster import (
    Cluster,
    environment_of_the_manifests,
    head_command,
    worker_command,
)
from tests.cluster_drills.network import build_network, inside
from tests.cluster_drills.node import USER, Image, Node
from tests.cluster_drills.servers import ReplicaSet, run_market, run_redis, run_replica_set
from tests.drills.drill import Drill
from tests.end_to_end.book import Book

PORTFOLIOS = 600
PROGRAMS = {"ip": "iproute2", "runc": "runc", "redis-server": "redis-server"}


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Iterator[list[str]]:
    """Lines that a drill prints at its end about the requests of its clients."""
    lines: list[str] = []
    yield lines
    with capsys.disabled():
        sys.stdout.write("\n  " + "\n  ".join(lines) + "\n")


@pytest.fixture(scope="session")
def root() -> Iterator[Path]:
    """The files of the image, locked against a rebuild; fails if a prerequisite is missing."""
    missing = [package for program, package in PROGRAMS.items() if not shutil.which(program)]
    if os.geteuid() != 0 or missing:
        pytest.fail(f"needs root, and: apt-get install --no-install-recommends {' '.join(missing)}")
    last_build = file_system_of_last_build()
    if last_build is None:
        pytest.fail("no image: make image")
    with lock_images():
        yield last_build


@pytest.fixture(scope="session")
def network(root: Path) -> Iterator[None]:
    """Build the network, and put this process on the host of the client."""
    with build_network(), inside("client"):
        yield


@pytest.fixture(scope="session")
def book() -> Book:
    return Book(Market(seed=11, portfolios=PORTFOLIOS, sampled=False))


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="session")
def market(network: None, book: Book) -> Iterator[str]:
    with run_market(book) as url:
        yield url


@pytest.fixture(scope="session")
def database(network: None, directory: Path) -> Iterator[ReplicaSet]:
    with run_replica_set(directory) as whole:
        yield whole


@pytest.fixture(scope="module")
def redis(network: None, directory: Path) -> Iterator[None]:
    """Run a Redis for each cluster, because a head adopts the nodes of its predecessor."""
    with run_redis(directory):
        yield


@pytest.fixture(scope="module")
def has_redis() -> bool:
    return True


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """Settings of the service that make many chunks of a small book."""
    return {"RUN_FAN_OUT_ABOVE": "100", "RUN_CHUNK_SIZE": "20"}


@pytest.fixture(scope="module")
def image(
    root: Path,
    tmp_path_factory: pytest.TempPathFactory,
    database: ReplicaSet,
    market: str,
    redis: None,
    has_redis: bool,
    settings: dict[str, str],
) -> Image:
    directory = tmp_path_factory.mktemp("nodes")
    secrets, holdings = directory / "secrets", directory / "holdings"
    for volume in (secrets, holdings):
        volume.mkdir()
        os.chown(volume, USER, USER)
    (secrets / "uri").write_text(database.uri)
    directory.chmod(0o755)
    services = ("PORTFOLIO_ACCOUNTING", "PRICING", "SECURITY", "PORTFOLIO", "ORDER")
    environment = environment_of_the_manifests(
        has_redis,
        **{f"{service}_SERVICE_URL": market for service in services},
        PRICE_TTL_S="0",
        HOLDINGS_DIRECTORY="/data",
        **settings,
    )
    return Image(root, environment, directory, secrets, holdings)


@pytest.fixture(scope="module")
async def cluster(image: Image, has_redis: bool) -> AsyncIterator[Cluster]:
    head = Node(image, "head", head_command(has_redis))
    workers = tuple(Node(image, host, worker_command(host)) for host in ("w1", "w2"))
    whole = Cluster(head, workers)
    try:
        whole.start()
        await whole.deploy()
        await whole.wait_until_served()
        whole.key = whole.make_key()
        yield whole
    finally:
        whole.end()


@pytest.fixture
async def http(cluster: Cluster) -> AsyncIterator[httpx.AsyncClient]:
    """Client of the second worker, which no drill ends."""
    async with cluster.client(cluster.workers[1]) as client:
        yield client


@pytest.fixture
def drill(http: httpx.AsyncClient, book: Book, database: ReplicaSet) -> Drill:
    return Drill(http, book, database.uri, "order-generation")
