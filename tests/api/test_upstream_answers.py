"""Malformed answers of upstreams, seen by a caller through real clients and the real optimizer."""

import gzip
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from serve_app.upstream.holdings.summaries import AccountingService
from serve_app.upstream.prices import PricingService
from serve_app.upstream.retry_policy import Policy
from serve_app.upstream.securities import SecurityService
from tests.support import upstream_servers
from tests.support.fakes import make_model_body
from tests.support.upstream_servers import Answer, respond

IDS = tuple(f"{number:024x}" for number in range(20))
VICTIM = IDS[7]
SECURITY = "5" * 24
POSITION = {"security_id": SECURITY, "target": "0.5", "high_drift": "0.1", "low_drift": "0.1"}
BRACKETS = respond(b"[" * 200_000)
BOMB = respond(gzip.compress(b"[" + b" " * 100_000_000 + b"]"), "Content-Encoding: gzip")
ENDLESS = respond(b"[" + b" " * 5_000_000, length=2**31)
NONSENSE = {"200,000 brackets": BRACKETS, "a gzip bomb": BOMB, "two gigabytes": ENDLESS}


class World:
    """Server of all upstreams, with a spoiled answer to paths that match a pattern."""

    def __init__(self) -> None:
        self.path = re.compile("nothing")
        self.spoiled: Answer = b""
        client = upstream_servers.start_client(
            self._answer, Policy(backoff_s=0.0, max_answer_bytes=4_000_000)
        )
        self.read_snapshot = PricingService(client, 0.0).read_snapshot
        self.read_tickers = SecurityService(client).read_tickers
        self.read_holdings = AccountingService(client).read_holdings

    def spoil(self, path: str, answer: Answer) -> None:
        self.path, self.spoiled = re.compile(path), answer

    def _answer(self, request: httpx.Request) -> Answer:
        path = request.url.path
        if self.path.search(path):
            return self.spoiled
        answers: dict[str, Any] = {
            "/api/v1/prices": [{"ticker": "A", "close": 31.5}],
            "/api/v2/securities": {
                "securities": [{"securityId": SECURITY, "ticker": "A"}],
                "pagination": {"hasNext": False},
            },
        }
        return httpx.Response(
            200, json=answers.get(path, {"cashBalance": "1000", "securities": []})
        )


@pytest.fixture
async def world() -> AsyncIterator[World]:
    yield World()
    await upstream_servers.opened.aclose()


@pytest.fixture
def upstreams(world: World) -> World:
    return world


@pytest.fixture
async def model_id(client: httpx.AsyncClient) -> str:
    body = make_model_body(positions=[POSITION], portfolios=list(IDS))
    return (await client.post("/api/v1/models", json=body)).json()["model_id"]


@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE)
async def test_a_balance_that_is_nonsense_fails_its_portfolio_and_no_other(
    client: httpx.AsyncClient, world: World, model_id: str, answer: Answer
) -> None:
    world.spoil(f"/{VICTIM}/summary", answer)

    whole = await client.post(f"/api/v1/model/{model_id}/rebalance")
    alone = await client.post(f"/api/v1/portfolio/{VICTIM}/rebalance")
    drifts = await client.get(f"/api/v1/model/{model_id}/drift")

    assert whole.status_code == 200, whole.text
    for found in (whole, drifts):
        failed = [each for each in found.json() if each["status"] == "FAILED"]
        assert [each["portfolio_id"] for each in failed] == [VICTIM]
        assert failed[0]["error"]["type"] == "/problems/upstream-contract"
    assert sum(each["status"] == "REBALANCED" for each in whole.json()) == len(IDS) - 1
    assert (alone.status_code, alone.json()["type"]) == (502, "/problems/upstream-contract")
    assert len(alone.content) < 2000


@pytest.mark.parametrize("path", ["/api/v1/prices", "/api/v2/securities"])
@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE)
async def test_a_price_list_that_is_nonsense_is_a_502_that_names_the_upstream_and_passes(
    client: httpx.AsyncClient, world: World, model_id: str, path: str, answer: Answer
) -> None:
    world.spoil(path, answer)
    refused = await client.post(f"/api/v1/model/{model_id}/rebalance")
    world.spoil("nothing", b"")
    again = await client.post(f"/api/v1/model/{model_id}/rebalance")

    assert (refused.status_code, refused.json()["type"]) == (502, "/problems/upstream-contract")
    assert path in refused.json()["detail"]
    assert again.status_code == 200
