"""Replacement of open orders: orders that are cancelled, sent, or left alone."""

from collections import Counter

import httpx

from tests.support.flaky_order_service import OrderDesk
from tests.support.submissions import add_rebalance, read_code, read_counts, submit_orders


async def test_replace_cancels_what_was_not_submitted_and_sends_the_new_orders(
    client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    first = await add_rebalance(client, 3)
    await client.post(first)
    second = await add_rebalance(client, 3, name="Again")

    answer = await submit_orders(client, second, "REPLACE")

    assert (answer.status_code, read_counts(answer)) == (200, {"SENT": 30})
    found = Counter(order["status"]["abbreviation"] for order in await desk.read_orders())
    assert found == {"CNCLD": 30, "NEW": 30}
    lines = (await client.get(first)).json()["orders"]
    assert {line["service_status"] for line in lines} == {"CNCLD"}


async def test_replace_keeps_every_other_field_of_a_cancelled_order(
    client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    await client.post(await add_rebalance(client, 1, 1))
    (before,) = await desk.read_orders()

    await submit_orders(client, await add_rebalance(client, 1, 1, name="Again"), "REPLACE")

    after = (await desk.read_orders())[0]
    assert after.pop("status")["abbreviation"] == "CNCLD"
    assert after == {name: value for name, value in before.items() if name != "status"}


async def test_replace_sends_only_for_portfolios_whose_orders_were_all_cancelled(
    client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    await client.post(await add_rebalance(client, 3))
    await desk.submit(15)  # of the second portfolio
    second = await add_rebalance(client, 3, name="Again")

    answer = await submit_orders(client, second, "REPLACE")

    assert (answer.status_code, answer.json()["status"]) == (207, "PARTIAL")
    assert read_counts(answer) == {"SENT": 20, "PENDING": 10}
    held = [line for line in answer.json()["orders"] if line["status"] == "PENDING"]
    assert {line["portfolio_id"] for line in held} == {f"P{1:023}"}
    assert all("open orders of another rebalance" in line["message"] for line in held)
    assert await desk.read_status(15) == "SENT"

    await desk.update(15, "FULL")
    again = await submit_orders(client, second, "REPLACE")
    assert (again.status_code, read_counts(again)) == (200, {"SENT": 30})


async def test_replace_is_refused_where_nothing_could_be_cancelled(
    client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    await client.post(await add_rebalance(client, 1, 2))
    await desk.submit(1)
    second = await add_rebalance(client, 1, 2, name="Again")

    answer = await submit_orders(client, second, "REPLACE")

    problem = answer.json()
    assert (answer.status_code, read_code(answer)) == (409, "orders-open")
    assert (problem["number_of_open_orders"], problem["number_cancelled"]) == (1, 1)
    assert len(desk.posted) == 1
