"""Request metrics: labelled by route template, so that a scan of paths makes no new series."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from serve_app.api.app import api_app
from serve_app.api.dependencies import Ports
from serve_app.api.middleware.responses import RequestMeasurement
from serve_app.settings import Settings
from tests.support.fakes import FakeOptimizer, P, Stored, render_no_metrics


@dataclass
class Seen:
    """Request watch that records every request."""

    in_flight: int = 0
    answered: list[tuple[str, str, str]] = field(default_factory=list)

    def note_begin(self) -> None:
        self.in_flight += 1

    def note_end(self, method: str, route: str, status: str, milliseconds: float) -> None:
        assert milliseconds > 0
        self.in_flight -= 1
        self.answered.append((method, route, status))


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
async def client(
    settings: Settings, stored: Stored, optimizer: FakeOptimizer, seen: Seen
) -> AsyncIterator[httpx.AsyncClient]:
    app = api_app(settings, Ports(stored.port, optimizer, {}, render_no_metrics), watch=seen)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "labels"),
    [
        ("GET", "/api/v1/model/zz", ("GET", "/api/v1/model/{model_id}", "400")),
        ("GET", "/api/v1/models/", ("GET", "/api/v1/models", "200")),
        ("PATCH", "/api/v1/models", ("PATCH", "/api/v1/models", "405")),
        (
            "POST",
            f"/api/v1/portfolio/{P}/rebalance",
            ("POST", "/api/v1/portfolio/{portfolio_id}/rebalance", "404"),
        ),
        ("GET", "/health/live", ("GET", "/health/live", "200")),
        ("GET", "/problems/infeasible", ("GET", "/problems/{slug}", "200")),
        ("GET", "/docs-files/favicon.png", ("GET", "/docs-files", "200")),
        ("GET", "/wp-admin/x.php", ("GET", "other", "404")),
        ("HACK", "/api/v1/models", ("other", "/api/v1/models", "405")),
    ],
)
async def test_a_request_is_counted_under_the_template_of_its_route(
    client: httpx.AsyncClient, seen: Seen, method: str, path: str, labels: tuple[str, str, str]
) -> None:
    await client.request(method, path)

    assert seen.answered == [labels]
    assert seen.in_flight == 0


async def test_an_answer_that_nobody_waits_for_ends_too(seen: Seen) -> None:
    async def endless(*_: Any) -> None:
        await asyncio.sleep(60)

    async def nothing(*_: Any) -> Any: ...

    scope = {"type": "http", "method": "GET"}
    asked = asyncio.create_task(RequestMeasurement(endless, seen)(scope, nothing, nothing))
    await asyncio.sleep(0.01)
    assert seen.in_flight == 1
    asked.cancel()
    await asyncio.wait([asked])

    assert (seen.in_flight, seen.answered) == (0, [("GET", "other", "none")])
