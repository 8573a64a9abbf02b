"""Fixtures of the whole service: a local Ray cluster, a real database, faulty upstreams."""

import os
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from serve_app.launch.haproxy import TIMEOUT_VARIABLE
from serve_app.launch.launcher import format_url, run_service
from serve_app.launch.preflight import read_configuration
from serve_app.settings import Settings
from serve_app.simulator import Market
from storage.embedded.free_port import free_port
from tests.end_to_end.book import Book, serve_book
from tests.end_to_end.calls import CONFIG

PORTFOLIOS = 1000
PAUSE_S = 0.5
CLIENT_TIMEOUT_S = 6
CONNECTIONS = 400


@pytest.fixture(scope="session")
def book() -> Book:
    return Book(Market(seed=11, portfolios=PORTFOLIOS, sampled=False))


@pytest.fixture(scope="session")
def book_url(book: Book) -> Iterator[str]:
    with serve_book(book) as url:
        yield url


@pytest.fixture(scope="session")
def service(mongodb_uri: str, book_url: str) -> Iterator[Settings]:
    """Start the service; a run of more than 100 portfolios is cut into chunks of 50.

    Two replicas work on runs: what one is asked, the other may have to do.
    """
    overrides = {
        "port": free_port(),
        "mongodb_uri": mongodb_uri,
        "database_name": "test-service",
        "portfolio_accounting_service_url": book_url,
        "pricing_service_url": book_url,
        "security_service_url": book_url,
        "portfolio_service_url": book_url,
        "order_service_url": book_url,
        "price_ttl_s": 0,
        "external_service_retries": 2,
        "circuit_breaker_timeout": PAUSE_S,
        "run_fan_out_above": 100,
        "run_chunk_size": 50,
        "proxy_connections_per_client": CONNECTIONS,
    }
    os.environ[TIMEOUT_VARIABLE] = str(CLIENT_TIMEOUT_S)  # first, because Ray hands it on
    settings, content = read_configuration(CONFIG, overrides)
    (optimizer,) = [
        deployment
        for deployment in content["applications"][0]["deployments"]
        if deployment["name"] == "Optimizer"
    ]
    optimizer["autoscaling_config"]["min_replicas"] = 2
    with run_service(settings, content, print) as complete:
        yield complete


@pytest.fixture(scope="session")
async def http(service: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=format_url(service), timeout=120, trust_env=False
    ) as client:
        yield client
