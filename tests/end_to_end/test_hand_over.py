"""Orders of a rebalance at the order service: each once, despite lost requests and processes."""

import asyncio
import os
import signal
from collections import Counter
from functools import partial

import httpx
import pytest
import ray
from ray.util.state import list_actors

from tests.end_to_end.acceptance import parse_exact_json
from tests.end_to_end.book import Book, wait_until_reached
from tests.end_to_end.calls import Json, add_model, fund_portfolio, make_model, rebalance_model

pytestmark = pytest.mark.cluster
ORDERS = "/api/v1/orders"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


async def test_a_rebalance_is_listed_in_every_kind_and_handed_over(
    http: httpx.AsyncClient, book: Book, book_url: str
) -> None:
    path = await _rebalance(http, book, 120)
    trades = parse_exact_json(await http.get(f"{path}/transactions"))
    table = await http.get(f"{path}/transactions", headers={"accept": "text/csv"})
    sheet = await http.get(f"{path}/transactions", headers={"accept": XLSX})

    answer = await http.post(f"{path}/orders")

    assert table.text.count("\r\n") == len(trades) + 1 > 1000
    assert sheet.content.startswith(b"PK")
    assert answer.status_code == 200, answer.text
    assert answer.json()["counts"]["SENT"] == len(trades)
    there = await _orders_of(book_url, trades)
    assert Counter(_key(order) for order in there) == Counter(
        (order["portfolio_id"], order["security_id"], order["transaction_type"], order["quantity"])
        for order in trades
    )
    lines = answer.json()["orders"]
    assert {line["order_id"] for line in lines} <= {order["id"] for order in there}


async def test_20_hand_overs_at_once_whose_answers_are_lost_send_each_order_once(
    http: httpx.AsyncClient, book: Book, book_url: str
) -> None:
    path = await _rebalance(http, book, 60)
    trades = parse_exact_json(await http.get(f"{path}/transactions"))

    with book.lose_answers(ORDERS):
        answers = await asyncio.gather(*(http.post(f"{path}/orders") for _ in range(20)))

    assert {answer.status_code for answer in answers} <= {200, 409}
    assert (await http.post(f"{path}/orders")).status_code == 200
    there = Counter(_key(order)[:2] for order in await _orders_of(book_url, trades))
    assert set(there.values()) == {1}
    assert len(there) == len(trades)


async def test_a_store_that_is_killed_while_a_batch_is_out_loses_and_repeats_nothing(
    http: httpx.AsyncClient, book: Book, book_url: str
) -> None:
    path = await _rebalance(http, book, 10)
    trades = parse_exact_json(await http.get(f"{path}/transactions"))
    with book.hold(ORDERS) as trouble:
        request = asyncio.create_task(http.post(f"{path}/orders"))
        await wait_until_reached(trouble)
        for replica in await _replicas_of("ModelStore"):
            os.kill(replica, signal.SIGKILL)
        assert (await request).status_code == 503
    stands = await http.get(f"{path}/orders")
    assert stands.json()["counts"]["SENDING"] == len(trades)

    again = await http.post(f"{path}/orders")

    assert again.status_code == 409  # until the lease of the one that died ends
    assert again.json()["type"] == "/problems/hand-over-in-progress"
    there = Counter(_key(order)[:2] for order in await _orders_of(book_url, trades))
    assert set(there.values()) <= {1}


async def _rebalance(http: httpx.AsyncClient, book: Book, portfolios: int) -> str:
    model = await add_model(
        http, make_model(book, [fund_portfolio(book) for _ in range(portfolios)])
    )
    outcomes = await rebalance_model(http, model["model_id"])
    return f"/api/v1/rebalance/{outcomes[0]['rebalance_id']}"


async def _orders_of(book_url: str, trades: list[Json]) -> list[Json]:
    """Read the orders of these portfolios at the order service."""
    portfolios = {order["portfolio_id"] for order in trades}
    orders: list[Json] = []
    async with httpx.AsyncClient(base_url=book_url, trust_env=False) as desk:
        while True:
            params = {"limit": 1000, "offset": len(orders)}
            page = (await desk.get(ORDERS, params=params)).json()
            orders += page["content"]
            if not page["pagination"]["hasNext"]:
                return [
                    order for order in orders if order["portfolio"]["portfolioId"] in portfolios
                ]


def _key(order: Json) -> tuple[str, str, str, int]:
    kind = order["orderType"]["abbreviation"]
    portfolio_id, security_id = order["portfolio"]["portfolioId"], order["security"]["securityId"]
    return portfolio_id, security_id, kind, order["quantity"]


async def _replicas_of(deployment: str) -> list[int]:
    name = f"ServeReplica:order-generation:{deployment}"
    alive = [("class_name", "=", name), ("state", "=", "ALIVE")]
    look = partial(list_actors, ray.get_runtime_context().gcs_address, filters=alive)
    return [replica.pid for replica in await asyncio.to_thread(look)]
