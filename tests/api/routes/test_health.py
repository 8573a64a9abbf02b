"""Health of every part, with a real database and upstreams on real HTTP servers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import httpx
import pytest

from serve_app.api.app import api_app
from serve_app.api.dependencies import Ports
from serve_app.api.routes import health
from serve_app.settings import read_settings
from serve_app.upstream.circuit_breaker import Breaker
from serve_app.upstream.errors import UpstreamUnavailableError
from serve_app.upstream.http_client import Client, UpstreamHealth
from serve_app.upstream.retry_policy import Policy
from storage.errors import StorageUnavailableError
from storage.mongo.connection import ping
from tests.support import upstream_servers
from tests.support.fakes import FakeOptimizer, Stored, render_no_metrics

NEEDED = ("accounting", "pricing", "security", "order")
UPSTREAMS = (*NEEDED, "portfolio")
ALWAYS_200 = ("/health", "/health/", "/health/health")
PATIENT_S = 60.0
HUNG_FOR_S = 0.5
POLICY = Policy(connect_s=PATIENT_S, total_s=PATIENT_S, backoff_s=0.0, tries=1, breaker_threshold=1)


def well(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200)


def ill(_: httpx.Request) -> httpx.Response:
    return httpx.Response(503)


def well_but_for_calls(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200 if request.url.path == "/health" else 503)


async def hung(_: httpx.Request) -> httpx.Response:
    await asyncio.sleep(3600)
    return httpx.Response(200)


async def deaf() -> UpstreamHealth:
    """Check that neither returns nor obeys its cancellation."""
    for _ in range(100):
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            continue
    raise AssertionError


async def gone() -> Any:
    raise StorageUnavailableError("secret.host:27017 refused")


Ask = Callable[..., Awaitable[Mapping[str, httpx.Response]]]


@pytest.fixture
async def ask(
    stored: Stored, optimizer: FakeOptimizer, database: Any, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Ask]:
    """Function that returns the answers by path of a service with these upstreams."""
    # Because a busy machine may take longer than 2 s to connect to all parts for the first time.
    monkeypatch.setattr(health, "CHECK_TIMEOUT_S", PATIENT_S)
    settings = read_settings({"upstreams": "simulated"})

    async def asked(
        database_check: Callable[[], Awaitable[None]] = lambda: ping(database),
        **upstreams: Callable[[], Awaitable[UpstreamHealth]] | upstream_servers.Handler | Client,
    ) -> Mapping[str, httpx.Response]:
        checks = {name: check_of(upstreams.get(name, well)) for name in UPSTREAMS}
        parts = Ports(
            stored.port, optimizer, {"database": database_check}, render_no_metrics, checks
        )
        transport = httpx.ASGITransport(api_app(settings, parts))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            paths = ("/health/live", "/health/ready", *ALWAYS_200)
            return {path: await client.get(path) for path in paths}

    yield asked
    await upstream_servers.opened.aclose()


def check_of(upstream: Any) -> Callable[[], Awaitable[UpstreamHealth]]:
    if upstream in {deaf, gone}:
        return upstream
    client = (
        upstream
        if isinstance(upstream, Client)
        else upstream_servers.start_client(upstream, POLICY)
    )
    return partial(client.check_health, "/health", HUNG_FOR_S if upstream is hung else PATIENT_S)


async def test_readiness_names_every_upstream_with_its_state_and_its_circuit(ask: Ask) -> None:
    answers = await ask()

    ready = answers["/health/ready"]
    assert ready.status_code == 200
    assert ready.json() == {
        "status": "ready",
        "checks": dict.fromkeys(("database", *UPSTREAMS), "healthy"),
        "breakers": dict.fromkeys(UPSTREAMS, "closed"),
        "simulated": ["accounting", "pricing", "security", "portfolio", "order"],
    }
    for path in ALWAYS_200:
        assert answers[path].json() == {**ready.json(), "status": "healthy"}


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("trouble", [ill, hung, gone], ids=lambda each: each.__name__)
async def test_an_upstream_that_is_not_well_is_named_and_the_others_are_not(
    ask: Ask, name: str, trouble: Any
) -> None:
    answers = await ask(**{name: trouble})

    ready = answers["/health/ready"].json()
    assert (answers["/health/ready"].status_code, ready["failing"]) == (503, [name])
    assert ready["checks"] == {
        part: "failing" if part == name else "healthy" for part in ("database", *UPSTREAMS)
    }
    assert ready["breakers"].keys() == set(UPSTREAMS)
    assert answers["/health/live"].status_code == 200
    for path in ALWAYS_200:
        body = answers[path].json()
        assert (answers[path].status_code, body["status"]) == (200, "degraded")
        assert (body["checks"], body["breakers"]) == (ready["checks"], ready["breakers"])
        assert "secret" not in answers[path].text


async def test_a_service_that_has_names_alone_does_not_keep_the_service_from_being_ready(
    ask: Ask,
) -> None:
    answers = await ask(portfolio=ill)

    ready = answers["/health/ready"]
    assert (ready.status_code, ready.json()["checks"]["portfolio"]) == (200, "failing")
    assert answers["/health"].json()["status"] == "degraded"


async def test_an_upstream_whose_circuit_is_open_keeps_the_service_from_being_ready(
    ask: Ask,
) -> None:
    # A clock that stands still, because the circuit is half-open after a second.
    breaker = Breaker("pricing", 1, 60.0, clock=lambda: 0.0)
    client = upstream_servers.start_client(well_but_for_calls, POLICY, breaker=breaker)
    with pytest.raises(UpstreamUnavailableError):
        await client.get("/api/v1/prices")

    answers = await ask(pricing=client)

    ready = answers["/health/ready"].json()
    assert (answers["/health/ready"].status_code, ready["failing"]) == (503, ["pricing"])
    assert (ready["checks"]["pricing"], ready["breakers"]["pricing"]) == ("healthy", "open")


async def test_a_part_that_never_answers_holds_up_neither_the_answer_nor_another_part(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "CHECK_TIMEOUT_S", 2.0)

    answers = await ask(accounting=deaf, order=deaf)

    body = answers["/health"].json()
    assert body["checks"]["pricing"] == body["checks"]["database"] == "healthy"
    assert body["breakers"]["accounting"] == body["breakers"]["order"] == "unknown"
    assert answers["/health/ready"].json()["failing"] == ["accounting", "order"]


async def test_a_database_that_is_gone_is_named_and_told_from_an_upstream(ask: Ask) -> None:
    answers = await ask(gone)

    assert answers["/health/ready"].json()["failing"] == ["database"]
    for path in ALWAYS_200:
        assert (answers[path].status_code, answers[path].json()["status"]) == (200, "unhealthy")
        assert "secret" not in answers[path].text
