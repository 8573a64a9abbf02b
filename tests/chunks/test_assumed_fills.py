"""Assumed fills, ``open_orders: COUNT``: a rebalance starts as if open orders were filled."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from serve_app.upstream.order_service import OrderService, Placed
from tests.support import flaky_order_service
from tests.support.fakes import PRICE, A, B, P, Q, Stored
from tests.support.flaky_order_service import OrderDesk
from tests.support.in_process import Upstreams
from tests.support.run_streams import wait_until_over

Json = dict[str, Any]
COUNT = {"open_orders": "COUNT"}


class World(Upstreams):
    """Upstreams with prices and holdings in memory, and orders at the desk."""

    service: OrderService

    async def read_placed(self, timestamp: datetime) -> Mapping[tuple[str, str], Placed]:
        self._require("order")
        return await self.service.read_placed(timestamp)


@pytest.fixture
def world(stored: Stored) -> World:
    world = World({A: PRICE, B: PRICE})
    world.service = stored.resources.order_service
    world.set_balance(P, 1000, **{A: 2})
    world.set_balance(Q, 500, **{B: 3})
    return world


@pytest.fixture
def upstreams(world: World) -> World:
    return world


async def of_model(client: httpx.AsyncClient, model: Json) -> list[Json]:
    answer = await client.post(f"/api/v1/model/{model['model_id']}/rebalance", json=COUNT)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def of_each_portfolio(client: httpx.AsyncClient, _: Json) -> list[Json]:
    paths = [f"/api/v1/portfolio/{portfolio_id}/rebalance" for portfolio_id in (P, Q)]
    return [(await client.post(path, json=COUNT)).json() for path in paths]


async def dry(client: httpx.AsyncClient, model: Json) -> list[Json]:
    path = f"/api/v1/model/{model['model_id']}/rebalance?dry_run=true"
    return (await client.post(path, json=COUNT)).json()


async def by_default_of_the_model(client: httpx.AsyncClient, model: Json) -> list[Json]:
    path = f"/api/v1/model/{model['model_id']}"
    body = {**model, "rebalance_options": COUNT}
    assert (await client.put(path, json=body)).status_code == 200
    return (await client.post(f"{path}/rebalance")).json()


def shares(element: Json, which: str) -> Json:
    """Return the holdings by security."""
    held = {line["security_id"]: line[which] for line in element["drifts"]}
    return {security_id: count for security_id, count in held.items() if count != "0"}


Rebalanced = Callable[[httpx.AsyncClient, Json], Awaitable[list[Json]]]


async def handed_over(client: httpx.AsyncClient, model: Json) -> dict[str, Json]:
    """Rebalance and submit the orders; return the elements of the answer by portfolio."""
    made = (await client.post(f"/api/v1/model/{model['model_id']}/rebalance")).json()
    sent = await client.post(f"/api/v1/rebalance/{made[0]['rebalance_id']}/orders")
    assert sent.status_code == 200, sent.text
    return {element["portfolio_id"]: element for element in made}


@pytest.mark.parametrize("rebalanced", [of_model, of_each_portfolio, dry, by_default_of_the_model])
async def test_what_was_sent_counts_as_filled_with_its_cash(
    client: httpx.AsyncClient, model: Json, rebalanced: Rebalanced
) -> None:
    first = await handed_over(client, model)

    again = await rebalanced(client, model)

    for element in again:
        before = first[element["portfolio_id"]]
        assert (element["status"], element["transactions"]) == ("IN_BAND", [])
        assert element["open_orders_counted"] == len(before["transactions"])
        assert element["market_value"] == before["market_value"]
        assert element["cash_before_rebalance"] == before["cash_after_rebalance"]
        assert shares(element, "original_quantity") == shares(before, "adjusted_quantity")


async def test_a_run_counts_and_its_stored_portfolios_say_so(
    client: httpx.AsyncClient, model: Json
) -> None:
    first = await handed_over(client, model)

    begun = await client.post("/api/v1/runs", json={"whole_book": True, "options": COUNT})

    ended = await wait_until_over(client, begun.json()["run_id"])
    assert ended["counts"] == {"IN_BAND": 2}
    (rebalance_id,) = ended["rebalances"]
    stored = (await client.get(f"/api/v1/rebalance/{rebalance_id}")).json()
    assert {
        element["portfolio_id"]: element["open_orders_counted"] for element in stored["portfolios"]
    } == {portfolio_id: len(element["transactions"]) for portfolio_id, element in first.items()}


async def test_orders_are_not_counted_unless_asked_for(
    client: httpx.AsyncClient, model: Json
) -> None:
    first = await handed_over(client, model)

    again = (await client.post(f"/api/v1/model/{model['model_id']}/rebalance")).json()

    for element in again:
        assert element["transactions"] == first[element["portfolio_id"]]["transactions"]
        assert element["open_orders_counted"] == 0


async def test_an_order_that_was_filled_meanwhile_is_not_counted_again(
    client: httpx.AsyncClient, model: Json, world: World, desk: OrderDesk
) -> None:
    first = await handed_over(client, model)
    for order in await desk.read_orders():
        await desk.update(order["id"], "FULL")
    for portfolio_id, element in first.items():
        world.set_balance(
            portfolio_id, element["cash_after_rebalance"], **shares(element, "adjusted_quantity")
        )

    again = await of_model(client, model)

    assert [element["open_orders_counted"] for element in again] == [0, 0]
    assert {element["status"] for element in again} == {"IN_BAND"}


async def test_an_order_that_is_filled_in_part_fails_its_portfolio_alone(
    client: httpx.AsyncClient, model: Json, desk: OrderDesk
) -> None:
    await handed_over(client, model)
    orders = await desk.read_orders()
    partly = next(order["id"] for order in orders if order["portfolio"]["portfolioId"] == P)
    await desk.update(partly, "PART")

    failed, other = await of_model(client, model)

    assert (failed["status"], other["status"]) == ("FAILED", "IN_BAND")
    assert failed["error"]["type"] == "/problems/orders-partly-filled"
    assert failed["error"]["order_ids"] == [partly]


async def test_an_order_in_doubt_counts_and_one_that_did_not_arrive_does_not(
    client: httpx.AsyncClient, model: Json, desk: OrderDesk, database: Any
) -> None:
    desk.faults = [flaky_order_service.lose_request]
    made = (await client.post(f"/api/v1/model/{model['model_id']}/rebalance")).json()
    lost = await client.post(f"/api/v1/rebalance/{made[0]['rebalance_id']}/orders")
    assert lost.status_code == 503

    in_doubt = await of_model(client, model)
    long_ago = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
    await database["orders"].update_many({}, {"$set": {"claimed_at": long_ago}})
    certain = await of_model(client, model)

    assert {element["status"] for element in in_doubt} == {"IN_BAND"}
    assert [element["open_orders_counted"] for element in certain] == [0, 0]
    assert {element["status"] for element in certain} == {"REBALANCED"}


async def test_an_order_of_a_security_without_a_price_fails_its_portfolio(
    client: httpx.AsyncClient, model: Json, database: Any
) -> None:
    await handed_over(client, model)
    await database["orders"].update_one({"portfolio_id": P}, {"$set": {"security_id": "Z" * 24}})

    failed, other = await of_model(client, model)

    assert (failed["status"], other["status"]) == ("FAILED", "IN_BAND")
    assert failed["error"]["securities"] == ["Z" * 24]


async def test_without_an_order_service_nothing_is_counted_wrongly(
    client: httpx.AsyncClient, model: Json, world: World
) -> None:
    path = f"/api/v1/model/{model['model_id']}/rebalance"
    world.down = "order"
    assert (await client.post(path, json=COUNT)).status_code == 200
    await handed_over(client, model)

    answer = await client.post(path, json=COUNT)

    assert (answer.status_code, answer.json()["upstream"]) == (503, "order")


async def test_optimize_has_no_orders_to_count(client: httpx.AsyncClient) -> None:
    body = {
        "model": {"positions": []},
        "prices": {A: "10"},
        "portfolios": [{"portfolio_id": P, "cash": str(Decimal(10)), "holdings": {}}],
        "options": COUNT,
    }

    answer = await client.post("/api/v1/optimize", json=body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/options/open_orders"
