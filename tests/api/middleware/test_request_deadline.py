"""X-Request-Timeout: work stops once its caller no longer waits."""

import asyncio
import math
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from typer.testing import CliRunner

from serve_app.api.app import api_app
from serve_app.api.dependencies import Ports
from serve_app.call_context import remaining_s
from serve_app.cli import cli
from serve_app.client import AsyncClient, ProblemError
from serve_app.ports.rebalances import Outcomes, RebalanceModel
from serve_app.settings import Settings
from tests.support.command_server import serve
from tests.support.fakes import FakeOptimizer, Stored, render_no_metrics

HEADER = "X-Request-Timeout"


class SlowOptimizer(FakeOptimizer):
    """Optimizer that works for ``seconds``, and records whether it was stopped."""

    seconds = 30.0
    was_ended = False
    remaining_s = 0.0

    async def rebalance_model(self, command: RebalanceModel) -> Outcomes:
        self.remaining_s = remaining_s()
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.was_ended = True
            raise
        return await super().rebalance_model(command)


@pytest.fixture
def optimizer(stored: Stored) -> SlowOptimizer:
    return SlowOptimizer(stored)


@pytest.fixture
def app(settings: Settings, stored: Stored, optimizer: Any) -> FastAPI:
    return api_app(settings, Ports(stored.port, optimizer, {}, render_no_metrics))


async def test_work_that_outlasts_its_caller_is_ended_and_says_so(
    client: httpx.AsyncClient, optimizer: SlowOptimizer, model: dict[str, Any]
) -> None:
    path = f"/api/v1/model/{model['model_id']}/rebalance"
    answer = await client.post(path, headers={HEADER: "3.5"})
    assert (answer.status_code, answer.json()["type"]) == (504, "/problems/deadline-exceeded")
    assert "3.5 s" in answer.json()["detail"]
    assert optimizer.was_ended


async def test_a_caller_that_waits_long_enough_gets_its_answer_and_bounds_the_work(
    client: httpx.AsyncClient, optimizer: SlowOptimizer, model: dict[str, Any]
) -> None:
    optimizer.seconds = 0.0
    path = f"/api/v1/model/{model['model_id']}/rebalance"
    answer = await client.post(path, headers={HEADER: "20"})
    assert answer.status_code == 200, answer.text
    assert 10 < optimizer.remaining_s <= 20


async def test_without_the_header_the_work_has_no_deadline(
    client: httpx.AsyncClient, optimizer: SlowOptimizer, model: dict[str, Any]
) -> None:
    optimizer.seconds = 0.0
    await client.post(f"/api/v1/model/{model['model_id']}/rebalance")
    assert math.isinf(optimizer.remaining_s)


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


async def test_the_work_for_a_python_client_ends_with_its_own_patience(
    app: FastAPI, optimizer: SlowOptimizer, model: dict[str, Any]
) -> None:
    transport = httpx.ASGITransport(app)
    async with AsyncClient("http://localhost", timeout_s=3.5, transport=transport) as service:
        with pytest.raises(ProblemError, match="deadline-exceeded"):
            await service.rebalance_model(model["model_id"])
    assert optimizer.was_ended


async def test_a_command_ends_the_work_that_it_no_longer_waits_for_and_exits_with_3(
    app: FastAPI, optimizer: SlowOptimizer, model: dict[str, Any]
) -> None:
    async with serve(app) as url:
        ordergen = CliRunner(env={"ORDERGEN_URL": url})
        asked = ("rebalance", "--model", model["model_id"], "--timeout", "4")
        done = await asyncio.to_thread(ordergen.invoke, cli, asked)
    assert (done.exit_code, done.stdout) == (3, "")
    assert "504 /problems/deadline-exceeded: " in done.stderr
    assert optimizer.was_ended
