"""Fixtures of the application on the real database and the simulated order service.

The optimizer is a fake, or the real optimizer on fake upstreams.
"""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from optimization import MODEL_RULES
from serve_app.api.app import api_app
from serve_app.api.dependencies import Ports
from serve_app.api.routes import optimize
from serve_app.ports.optimizer import Optimizer
from serve_app.settings import Settings, read_settings
from serve_app.simulator import Market
from storage.mongo.connection import ping
from tests.support.fakes import FakeOptimizer, Stored, make_model_body, render_no_metrics
from tests.support.flaky_order_service import OrderDesk
from tests.support.in_process import Upstreams, build_optimizer
from tests.support.submissions import connect_desk


@pytest.fixture(scope="session")
def market() -> Market:
    return Market(seed=3, portfolios=1)


@pytest.fixture
def desk(market: Market) -> OrderDesk:
    return OrderDesk(market)


@pytest.fixture
def stored(database: Any, desk: OrderDesk, settings: Settings) -> Stored:
    stored = Stored(database, MODEL_RULES[settings.model_rules], settings)
    connect_desk(stored, desk)
    return stored


@pytest.fixture
def upstreams() -> Upstreams | None:
    """Upstreams of the real optimizer if a module overrides this; otherwise a fake optimizer."""
    return None


@pytest.fixture
def optimizer(
    settings: Settings, stored: Stored, database: Any, upstreams: Upstreams | None
) -> FakeOptimizer | Optimizer:
    if upstreams is None:
        return FakeOptimizer(stored)
    return build_optimizer(settings, database, upstreams)


@pytest.fixture
def settings() -> Settings:
    return read_settings({"max_body_mb": 1, "time_zone": "Pacific/Kiritimati"})


@pytest.fixture
def app(
    settings: Settings, stored: Stored, optimizer: FakeOptimizer | Optimizer, database: Any
) -> FastAPI:
    checks = {"database": lambda: ping(database)}
    return api_app(settings, Ports(stored.port, optimizer, checks, render_no_metrics))


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


@pytest.fixture(params=[optimize.MIN_LONG_BODY_BYTES, 0], ids=["here", "elsewhere"])
def read_anywhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parametrize by the process that reads bodies: the ingress or another process."""
    monkeypatch.setattr(optimize, "MIN_LONG_BODY_BYTES", request.param)


@pytest.fixture
async def model(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.post("/api/v1/models", json=make_model_body())
    assert answer.status_code == 201, answer.text
    return answer.json()
