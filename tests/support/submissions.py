"""Helpers of the order submission tests: rebalances of any size, and a store with an order desk."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from serve_app.orders.admission import Admission
from serve_app.orders.submission import OrderSubmitter
from serve_app.upstream.http_client import Client
from serve_app.upstream.http_transports import HttpxTransport
from serve_app.upstream.order_service import OrderService
from serve_app.upstream.retry_policy import Policy
from storage.orders.order import OpenOrdersRule, OrderState
from tests.support.fakes import Stored, make_model_body, make_position
from tests.support.flaky_order_service import OrderDesk

SECURITIES = tuple(f"S{number:023}" for number in range(10))
PATIENT = timedelta(hours=1)
NO_WAIT = timedelta(0)


def connect_desk(stored: Stored, desk: OrderDesk, arrive_within: timedelta = PATIENT) -> None:
    """Connect the store to this desk; ``arrive_within`` bounds the delay of an order."""
    policy = Policy(backoff_s=0.0, breaker_threshold=100)
    service = OrderService(Client("order", "http://desk", policy, HttpxTransport(desk)), "Default")
    stored.resources = replace(stored.resources, order_service=service)
    admission = Admission(stored.resources, arrive_within, settle_s=0.0)
    stored.submitter = OrderSubmitter(stored.resources, arrive_within, admission=admission)


async def add_rebalance(
    client: httpx.AsyncClient,
    portfolios: int,
    securities: int = 10,
    name: str = "Growth",
    first: int = 0,
) -> str:
    """Store a rebalance that buys each security for each portfolio; return its orders' path."""
    ids = [f"P{number:023}" for number in range(first, first + portfolios)]
    positions = [make_position(security, "0.05") for security in SECURITIES[:securities]]
    body = make_model_body(name=name, positions=positions, portfolios=ids)
    model = (await client.post("/api/v1/models", json=body)).json()
    answer = await client.post(f"/api/v1/model/{model['model_id']}/rebalance")
    assert answer.status_code == 200, answer.text
    return f"/api/v1/rebalance/{answer.json()[0]['rebalance_id']}/orders"


async def assert_each_is_there_once(desk: OrderDesk, portfolios: int, securities: int = 10) -> None:
    expected = [
        (f"P{number:023}", security)
        for number in range(portfolios)
        for security in SECURITIES[:securities]
    ]
    assert await desk.read_keys() == expected


async def submit_orders(client: httpx.AsyncClient, path: str, rule: str) -> httpx.Response:
    """Submit the orders under this rule about open orders, and return the response."""
    return await client.post(path, json={"open_orders": rule})


async def submit_and_die(stored: Stored, path: str) -> None:
    """Submit the orders of a rebalance, and die after they are sent and before that is recorded."""

    async def die(*_: Any) -> int:
        raise RuntimeError("killed")

    settle, stored.resources.orders.settle = stored.resources.orders.settle, die
    with pytest.raises(RuntimeError, match="killed"):
        await stored.deployment.submit_orders(parse_rebalance_id(path), OpenOrdersRule.REFUSE, 10)
    stored.resources.orders.settle = settle


def read_counts(answer: httpx.Response) -> dict[str, int]:
    counts = answer.json()["counts"]
    assert list(counts) == [state.value for state in OrderState]
    return {state: count for state, count in counts.items() if count}


async def wait_until_released(stored: Stored, path: str) -> None:
    """Wait until no request holds the lease of a submission; its caller may have left earlier."""
    async with asyncio.timeout(30):
        lapsed = [parse_rebalance_id(path)]
        while await stored.resources.submissions.end_lapsed(lapsed):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def parse_rebalance_id(path: str) -> str:
    """Extract the rebalance id from the path of its orders."""
    return path.split("/")[4]


def read_code(answer: httpx.Response) -> str:
    """Return the code of a problem."""
    return answer.json()["type"].removeprefix("/problems/")
