"""End of a submitting request at any stage: its caller hangs up, or its time is up."""

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest

from serve_app.orders.admission import CANCEL_BATCH_SIZE, CANCEL_WITH_S, Admission
from serve_app.orders.submission import OrderSubmitter
from storage.orders.order import OpenOrdersRule
from tests.support import flaky_order_service
from tests.support.fakes import Stored
from tests.support.flaky_order_service import OrderDesk
from tests.support.submissions import (
    PATIENT,
    add_rebalance,
    assert_each_is_there_once,
    connect_desk,
    read_counts,
    submit_orders,
    wait_until_released,
)


async def calls_after_hanging_up(
    stored: Stored, path: str, part: Any, method: str, rule: OpenOrdersRule = OpenOrdersRule.REFUSE
) -> int:
    """Count the calls of a method by a submission whose caller hangs up during the first call."""
    begin_step, calls = getattr(part, method), list[object]()

    async def hang_up(*given: Any) -> Any:
        calls.append(given)
        if len(calls) == 1:
            request.cancel()
            await asyncio.wait([request])
        return await begin_step(*given)

    setattr(part, method, hang_up)
    request = asyncio.create_task(stored.deployment.submit_orders(path.split("/")[4], rule, 10))
    await asyncio.wait([request])
    await wait_until_released(stored, path)
    setattr(part, method, begin_step)
    assert request.cancelled()
    return len(calls)


async def test_storing_the_orders_ends_and_goes_on_where_it_ended(
    client: httpx.AsyncClient, stored: Stored, desk: OrderDesk
) -> None:
    path = await add_rebalance(client, 450, 1)  # three pages
    orders = stored.resources.orders

    assert await calls_after_hanging_up(stored, path, orders, "add") == 1

    left = (await client.get(path)).json()
    assert (left["status"], left["number_of_transactions"]) == ("NOT_SENT", 450)
    assert desk.posted == []
    assert (await client.post(path)).status_code == 200
    await assert_each_is_there_once(desk, 450, 1)


async def test_orders_are_not_stored_again_from_the_first_portfolio(
    client: httpx.AsyncClient, stored: Stored, desk: OrderDesk
) -> None:
    path = await add_rebalance(client, 450, 1)
    orders = stored.resources.orders
    add, places = orders.add, list[int]()

    async def fail_at_the_third(some: Any) -> None:
        places.append(some[0].place)
        if len(places) == 3:
            raise RuntimeError("killed")
        await add(some)

    orders.add = fail_at_the_third
    with pytest.raises(RuntimeError, match="killed"):
        await stored.deployment.submit_orders(path.split("/")[4], OpenOrdersRule.REFUSE, 10)
    assert (await client.post(path)).status_code == 200

    assert places == [0, 200, 400, 200, 400]
    await assert_each_is_there_once(desk, 450, 1)


async def test_looking_up_what_is_unsettled_ends_with_the_caller(
    client: httpx.AsyncClient, stored: Stored, desk: OrderDesk
) -> None:
    path = await add_rebalance(client, 120)
    desk.faults = [flaky_order_service.refuse_first(1), flaky_order_service.refuse_first(1)]
    assert read_counts(await client.post(path)) == {"SENT": 1198, "FAILED": 2}
    service = stored.resources.order_service

    assert await calls_after_hanging_up(stored, path, service, "read_placed") == 1

    assert len(desk.posted) == 2
    assert (await client.post(path)).status_code == 200
    await assert_each_is_there_once(desk, 120)


@pytest.mark.parametrize(
    ("part", "method"), [("portfolio_claims", "take"), ("open_orders", "find_later_rebalances")]
)
async def test_deciding_what_to_send_ends_with_the_caller(
    client: httpx.AsyncClient, stored: Stored, desk: OrderDesk, part: str, method: str
) -> None:
    path = await add_rebalance(client, 501, 1)  # two pages

    assert await calls_after_hanging_up(stored, path, getattr(stored.resources, part), method) == 1

    assert desk.posted == []
    assert (await client.post(path)).status_code == 200


async def test_looking_up_open_orders_ends_with_the_caller(
    client: httpx.AsyncClient, stored: Stored, desk: OrderDesk
) -> None:
    for number in range(6):  # four batches are looked up at once
        await client.post(await add_rebalance(client, 1, 1, name=f"M{number}", first=number))
    path = await add_rebalance(client, 6, 1, name="All")
    service = stored.resources.order_service

    assert await calls_after_hanging_up(stored, path, service, "read_placed") <= 4

    assert len(desk.posted) == 6


async def test_replace_cancels_no_more_and_records_what_it_cancelled(
    client: httpx.AsyncClient, stored: Stored, desk: OrderDesk
) -> None:
    first = await add_rebalance(client, 5)
    await client.post(first)
    second = await add_rebalance(client, 5, name="Again")
    service, rule = stored.resources.order_service, OpenOrdersRule.REPLACE

    assert await calls_after_hanging_up(stored, second, service, "cancel", rule) == 1

    there = Counter(order["status"]["abbreviation"] for order in await desk.read_orders())
    assert there == {"CNCLD": CANCEL_BATCH_SIZE, "NEW": 50 - CANCEL_BATCH_SIZE}
    lines = (await client.get(first)).json()["orders"]
    assert Counter(line["service_status"] for line in lines) == there
    assert len(desk.posted) == 1
    again = await submit_orders(client, second, "REPLACE")
    assert (again.status_code, read_counts(again)) == (200, {"SENT": 50})


async def test_replace_cancels_nothing_without_the_time_to_confirm_it_and_to_send(
    client: httpx.AsyncClient, stored: Stored, desk: OrderDesk
) -> None:
    await client.post(await add_rebalance(client, 2))
    second = await add_rebalance(client, 2, name="Again")
    admission = Admission(stored.resources, PATIENT, settle_s=0.0)
    stored.submitter = OrderSubmitter(stored.resources, PATIENT, CANCEL_WITH_S, admission=admission)

    answer = await submit_orders(client, second, "REPLACE")

    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (409, "/problems/orders-open")
    assert (problem["number_of_open_orders"], problem["number_cancelled"]) == (20, 0)
    assert {order["status"]["abbreviation"] for order in await desk.read_orders()} == {"NEW"}
    connect_desk(stored, desk)
    assert (await submit_orders(client, second, "REPLACE")).status_code == 200


async def test_what_replace_cancelled_is_confirmed_however_long_the_look_ups_before_took(
    client: httpx.AsyncClient, stored: Stored, desk: OrderDesk
) -> None:
    await client.post(await add_rebalance(client, 2))
    second = await add_rebalance(client, 2, name="Again")
    no_time = Admission(stored.resources, PATIENT, settle_s=0.0, look_up_for_s=-1.0)
    stored.submitter = OrderSubmitter(stored.resources, PATIENT, admission=no_time)

    answer = await submit_orders(client, second, "REPLACE")

    assert (answer.status_code, read_counts(answer)) == (200, {"SENT": 20})
