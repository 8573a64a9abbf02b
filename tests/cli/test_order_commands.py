"""Order commands: the orders of a rebalance submitted and shown from a terminal."""

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from serve_app.cli.commands import order
from tests.support import flaky_order_service
from tests.support.command_server import Ordergen, connect_ordergen, serve
from tests.support.fakes import Stored
from tests.support.flaky_order_service import OrderDesk
from tests.support.names import name_everything
from tests.support.submissions import add_rebalance
from tests.support.terminal import run_on_terminal

REBALANCE = "8" * 24
PATH = f"/api/v1/rebalance/{REBALANCE}/orders"


async def store_rebalance(client: httpx.AsyncClient, securities: int = 1) -> str:
    """Store a rebalance with one order per security for each of two portfolios."""
    return (await add_rebalance(client, 2, securities)).split("/")[4]


async def test_a_rebalance_is_handed_over_once_and_its_orders_are_shown(
    ordergen: Ordergen, client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    rebalance_id = await store_rebalance(client)

    done = await ordergen("hand-over", rebalance_id, "--yes")
    again = await ordergen("hand-over", rebalance_id, "--yes", "--json")
    shown = await ordergen("orders", rebalance_id)

    assert done.exit_code == again.exit_code == shown.exit_code == 0, done.output
    assert rebalance_id in done.stdout
    assert "2 SENT" in done.stdout
    handed = json.loads(again.stdout)
    assert (handed["status"], handed["counts"]["SENT"]) == ("COMPLETE", 2)
    assert len(desk.posted) == 1
    for placed in handed["orders"]:
        assert str(placed["order_id"]) in shown.stdout


@pytest.mark.parametrize(("keys", "code", "orders"), [("y\n", 0, 6), ("n\n", 1, 0), ("\n", 1, 0)])
async def test_a_person_confirms_a_hand_over_by_its_counts_and_amounts(
    app: FastAPI, client: httpx.AsyncClient, desk: OrderDesk, keys: str, code: int, orders: int
) -> None:
    rebalance_id = await store_rebalance(client, securities=3)

    async with serve(app) as url:
        screen = await run_on_terminal(url, "hand-over", rebalance_id, columns=200, keys=keys)

    assert screen.exit_code == code, screen.text
    assert "6 transactions of 2 portfolios: buys 61.50, sells 0.00" in screen.text
    assert "Send the orders? [y/N]" in screen.text
    assert sum(len(batch) for batch in desk.posted) == orders
    assert ("nothing was sent" in screen.text) == (code == 1)


async def test_a_hand_over_of_orders_that_are_all_sent_asks_nothing(
    app: FastAPI, client: httpx.AsyncClient, ordergen: Ordergen
) -> None:
    rebalance_id = await store_rebalance(client)
    await ordergen("hand-over", rebalance_id, "--yes")

    async with serve(app) as url:
        screen = await run_on_terminal(url, "hand-over", rebalance_id)

    assert screen.exit_code == 0, screen.text
    assert "Send the orders?" not in screen.text


async def test_a_hand_over_that_nobody_can_confirm_is_refused_in_one_line(
    ordergen: Ordergen, client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    rebalance_id = await store_rebalance(client)

    done = await ordergen("hand-over", rebalance_id)
    data = await ordergen("hand-over", rebalance_id, "--json")

    assert (done.exit_code, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "--yes" in line
    assert data.exit_code == 2
    assert "--yes" in json.loads(data.stdout)["detail"]
    assert desk.posted == []


async def test_orders_have_names_and_tickers_beside_their_ids(
    ordergen: Ordergen, client: httpx.AsyncClient, stored: Stored
) -> None:
    stored.resources = replace(stored.resources, portfolios=name_everything("Growth IRA"))
    rebalance_id = await store_rebalance(client)
    await ordergen("hand-over", rebalance_id, "--yes")

    shown = await ordergen("orders", rebalance_id)

    assert shown.stdout.count("Growth IRA") == 2


async def test_orders_that_were_refused_are_listed_and_end_with_1(
    ordergen: Ordergen, client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    rebalance_id = await store_rebalance(client)
    desk.faults = [flaky_order_service.refuse_first(1)]

    done = await ordergen("hand-over", rebalance_id, "--yes")
    failed = await ordergen("orders", rebalance_id, "--status", "FAILED", "--json")

    assert done.exit_code == 1, done.output
    assert "PARTIAL" in done.stdout
    assert done.stdout.count("Blotter ID is required") == 1
    found = json.loads(failed.stdout)
    assert (found["number_of_orders"], len(found["orders"])) == (2, 1)


async def test_orders_beyond_one_request_are_listed(
    ordergen: Ordergen, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order, "MAX_ORDERS_PER_PAGE", 7)
    rebalance_id = await store_rebalance(client, securities=10)
    await ordergen("hand-over", rebalance_id, "--yes")

    some = await ordergen("orders", rebalance_id, "--limit", "15", "--json")
    every = await ordergen("orders", rebalance_id, "--limit", "100", "--json")

    ids = [order["order_id"] for order in json.loads(every.stdout)["orders"]]
    assert len(set(ids)) == 20
    assert [order["order_id"] for order in json.loads(some.stdout)["orders"]] == ids[:15]


@pytest.mark.parametrize(
    ("sent", "requests", "code"), [((1000, 2000, 2500), 3, 0), ((1000, 1000), 2, 1), ((0,), 1, 1)]
)
async def test_a_hand_over_is_asked_for_again_for_as_long_as_orders_go_out(
    sent: tuple[int, ...], requests: int, code: int
) -> None:
    app = FastAPI()
    asked: list[int] = []

    def standing(count: int) -> dict[str, Any]:
        counts = {"PENDING": 2500 - count, "SENDING": 0, "SENT": count, "FAILED": 0, "UNKNOWN": 0}
        status = "PARTIAL" if count < 2500 else "COMPLETE"
        kept = {"rebalance_id": REBALANCE, "status": status}
        kept |= dict.fromkeys(("number_of_transactions", "number_of_orders"), 2500)
        return {**kept, "counts": counts, "orders": []}

    @app.get(PATH)
    async def stands() -> dict[str, Any]:
        return standing(asked[-1] if asked else 0)

    @app.post(PATH)
    async def hand_over() -> dict[str, Any]:
        asked.append(sent[len(asked)])
        return standing(asked[-1])

    async with serve(app) as url:
        done = await connect_ordergen(url)("hand-over", REBALANCE, "--yes")

    assert (done.exit_code, len(asked)) == (code, requests), done.output
    assert done.stderr.count("orders are sent") == requests - 1


async def test_an_order_service_that_is_down_ends_a_hand_over_with_3(
    ordergen: Ordergen, client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    rebalance_id = await store_rebalance(client)
    desk.faults = [flaky_order_service.lose_request]

    done = await ordergen("hand-over", rebalance_id, "--yes")

    assert (done.exit_code, done.stdout) == (3, "")
    assert "orders-in-doubt" in done.stderr


async def test_without_an_id_the_orders_of_all_rebalances_are_listed(
    ordergen: Ordergen, client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    sent_id = await store_rebalance(client)
    await add_rebalance(client, 2, 1, name="Income", first=2)
    await ordergen("hand-over", sent_id, "--yes")

    every = await ordergen("orders")
    sent = await ordergen("orders", "--status", "SENT", "--json")
    later = await ordergen("orders", "--since", "2999-01-01", "--json")
    both = await ordergen("orders", sent_id, "--since", "2999-01-01")

    assert every.exit_code == 0, every.output
    assert sent_id in every.stdout
    assert {order["rebalance_id"] for order in json.loads(sent.stdout)} == {sent_id}
    assert json.loads(later.stdout) == []
    assert (both.exit_code, "--since" in both.stderr) == (2, True)
