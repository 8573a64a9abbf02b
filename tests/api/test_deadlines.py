"""X-Request-Timeout: nothing goes on for a caller that no longer waits."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest

from optimization.result import Rebalance
from serve_app.api.application import api_app
from serve_app.api.collaborators import Collaborators
from serve_app.settings import Settings
from storage.runs import Run
from tests.api.parts import FakeOptimizer, Stored, no_metrics

HEADER = "X-Request-Timeout"


class SlowOptimizer(FakeOptimizer):
    """Works for ``seconds``; knows whether it was ended."""

    seconds = 30.0
    was_ended = False

    async def rebalance_model(
        self, model_id: str, options: Mapping[str, Any] | None, correlation_id: str
    ) -> tuple[Run, tuple[Rebalance, ...]]:
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.was_ended = True
            raise
        return await super().rebalance_model(model_id, options, correlation_id)


@pytest.fixture
def optimizer(stored: Stored) -> SlowOptimizer:
    return SlowOptimizer(stored)


@pytest.fixture
async def client(
    settings: Settings, stored: Stored, optimizer: Any
) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(
        api_app(settings, Collaborators(stored, optimizer, {}, no_metrics))
    )
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def test_work_that_outlasts_its_caller_is_ended_and_says_so(
    client: httpx.AsyncClient, optimizer: SlowOptimizer, model: dict[str, Any]
) -> None:
    path = f"/api/v1/model/{model['model_id']}/rebalance"
    answer = await client.post(path, headers={HEADER: "0.05"})
    assert (answer.status_code, answer.json()["type"]) == (504, "/problems/deadline-exceeded")
    assert "0.05 s" in answer.json()["detail"]
    assert optimizer.was_ended


async def test_a_caller_that_waits_long_enough_gets_its_answer_and_bounds_the_solver(
    client: httpx.AsyncClient, optimizer: SlowOptimizer, model: dict[str, Any]
) -> None:
    optimizer.seconds = 0.0
    path = f"/api/v1/model/{model['model_id']}/rebalance"
    answer = await client.post(path, headers={HEADER: "20"})
    assert answer.status_code == 200, answer.text
    (options, _), *_ = optimizer.asked
    assert options is not None
    assert 0 < options["time_limit_s"] <= 20


async def test_a_longer_wait_does_not_stretch_the_time_limit_of_the_settings(
    client: httpx.AsyncClient, optimizer: SlowOptimizer, model: dict[str, Any], settings: Settings
) -> None:
    optimizer.seconds = 0.0
    path = f"/api/v1/model/{model['model_id']}/rebalance"
    await client.post(path, headers={HEADER: "3600"})
    (options, _), *_ = optimizer.asked
    assert options == {"time_limit_s": settings.optimization_timeout}


@pytest.mark.parametrize("seconds", ["0", "-1", "3601", "nan", "inf", "soon", ""])
async def test_a_wait_that_is_none_is_refused(
    client: httpx.AsyncClient, optimizer: SlowOptimizer, model: dict[str, Any], seconds: str
) -> None:
    path = f"/api/v1/model/{model['model_id']}/rebalance"
    answer = await client.post(path, headers={HEADER: seconds})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")
    assert answer.json()["errors"] == [
        {"parameter": HEADER, "detail": "seconds, above 0, at most 3600"}
    ]
    assert optimizer.asked == []


async def test_a_request_with_a_key_that_was_ended_is_free_to_be_repeated(
    client: httpx.AsyncClient, optimizer: SlowOptimizer, model: dict[str, Any]
) -> None:
    path, key = f"/api/v1/model/{model['model_id']}/rebalance", {"Idempotency-Key": "again"}
    ended = await client.post(path, headers={HEADER: "0.1", **key})
    optimizer.seconds = 0.0
    repeated = await client.post(path, headers=key)
    assert (ended.status_code, repeated.status_code) == (504, 200)
    assert "Idempotent-Replayed" not in repeated.headers
