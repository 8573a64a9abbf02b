"""Fixtures of drills: a service with short leases and small chunks, and a killable database."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve_app.launch.launcher import format_url, run_service
from serve_app.launch.preflight import read_configuration
from serve_app.settings import Settings
from serve_app.simulator import Market
from storage.embedded import server as embedded
from storage.embedded.free_port import free_port
from storage.embedded.server import Server
from tests.drills.drill import Drill
from tests.end_to_end.book import Book, serve_book
from tests.end_to_end.calls import CONFIG

PORTFOLIOS = 400


@pytest.fixture(scope="module")
def book() -> Book:
    return Book(Market(seed=11, portfolios=PORTFOLIOS, sampled=False))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of the database."""
    return tmp_path_factory.mktemp("drills")


@pytest.fixture(scope="module")
def server(data: Path) -> Iterator[Server]:
    yield embedded.start(data)
    embedded.stop(data)


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of the files of holdings."""
    return tmp_path_factory.mktemp("books")


@pytest.fixture(scope="module")
def cluster() -> None:
    """Start Ray as the service does, unless a drill has another cluster."""


@pytest.fixture(scope="module")
def overrides(server: Server, book: Book, books: Path) -> Iterator[dict[str, Any]]:
    """Settings of the service, whose upstreams are the book."""
    with serve_book(book) as url:
        yield {
            "port": free_port(),
            "mongodb_uri": server.uri,
            "portfolio_accounting_service_url": url,
            "pricing_service_url": url,
            "security_service_url": url,
            "portfolio_service_url": url,
            "order_service_url": url,
            "price_ttl_s": 0,
            "external_service_timeout": 1,
            "external_service_retries": 2,
            "circuit_breaker_timeout": 0.2,
            "run_fan_out_above": 100,
            "run_chunk_size": 20,
            "run_file_chunk_size": 10,
            "holdings_directory": books,
            "run_chunk_tries": 3,
            "run_window": 8,
            "run_patience_s": 3,
            "run_lease_s": 2,
        }


@pytest.fixture(scope="module")
def service(overrides: dict[str, Any], cluster: object) -> Iterator[Settings]:
    settings, content = read_configuration(CONFIG, overrides)
    with run_service(settings, content, print) as complete:
        yield complete


@pytest.fixture(scope="module")
async def http(service: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=format_url(service), timeout=90, trust_env=False
    ) as client:
        yield client


@pytest.fixture
def drill(http: httpx.AsyncClient, book: Book, server: Server, service: Settings) -> Drill:
    return Drill(http, book, server.uri, service.database_name)
