"""GET /orders: orders of all rebalances in one list."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from optimization import Side
from storage.orders.order import Order, OrderState, Settlement
from storage.rebalances.rebalance import new_rebalance_id
from tests.support.fakes import Stored
from tests.support.samples import NOON, make_id

pytestmark = pytest.mark.mongo


def make_orders(days: int, count: int) -> list[Order]:
    """Build orders of a rebalance so many days after the first."""
    rebalance_id, at = new_rebalance_id(), NOON + timedelta(days=days)
    return [
        Order(rebalance_id, place, make_id("P", place), make_id("S", 0), Side.BUY, 5, at)
        for place in range(count)
    ]


@pytest.fixture
async def rebalance_ids(stored: Stored) -> list[str]:
    """Ids of three rebalances with four orders each; one order of each is in doubt."""
    store, ids = stored.resources.orders, []
    for days in range(3):
        orders = make_orders(days, 4)
        await store.add(orders)
        batch = await store.claim(orders[0].rebalance_id, 2, NOON, NOON)
        first, second = batch.orders
        settlements = {
            first.key: Settlement(OrderState.SENT, 4711 + days),
            second.key: Settlement(OrderState.UNKNOWN, message="no answer"),
        }
        await store.settle(batch, settlements)
        ids.append(orders[0].rebalance_id)
    return ids


async def get(client: httpx.AsyncClient, **query: Any) -> httpx.Response:
    answer = await client.get("/api/v1/orders", params=query)
    assert answer.status_code == 200, answer.text
    return answer


async def test_orders_in_doubt_anywhere_are_found_the_latest_first(
    client: httpx.AsyncClient, rebalance_ids: list[str]
) -> None:
    answer = await get(client, status=["UNKNOWN", "SENDING"])

    assert answer.headers["x-total-count"] == "3"
    assert [each["rebalance_id"] for each in answer.json()] == rebalance_ids[::-1]
    assert {each["message"] for each in answer.json()} == {"no answer"}


async def test_pages_have_every_order_once(
    client: httpx.AsyncClient, rebalance_ids: list[str]
) -> None:
    pages = [(await get(client, offset=offset, limit=5)).json() for offset in (0, 5, 10)]

    lines = [line for page in pages for line in page]
    assert [line["rebalance_id"] for line in lines] == [
        each for each in rebalance_ids[::-1] for _ in range(4)
    ]
    assert len({(line["rebalance_id"], line["portfolio_id"]) for line in lines}) == 12


async def test_orders_of_earlier_rebalances_are_left_out_by_their_time(
    client: httpx.AsyncClient, rebalance_ids: list[str]
) -> None:
    since = (NOON + timedelta(days=1)).isoformat()

    answer = await get(client, status="PENDING", since=since)

    assert {each["rebalance_id"] for each in answer.json()} == set(rebalance_ids[1:])
    assert answer.headers["x-total-count"] == "4"


@pytest.mark.parametrize("query", [{"status": "LOST"}, {"since": "yesterday"}, {"limit": 1001}])
async def test_what_no_order_has_is_refused(
    client: httpx.AsyncClient, query: dict[str, Any]
) -> None:
    assert (await client.get("/api/v1/orders", params=query)).status_code == 422
