"""Faults during a submission: each order exists exactly once at the order service."""

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest

from storage.orders.order import OpenOrdersRule
from tests.support import flaky_order_service
from tests.support.fakes import Stored
from tests.support.flaky_order_service import OrderDesk
from tests.support.submissions import (
    NO_WAIT,
    add_rebalance,
    assert_each_is_there_once,
    connect_desk,
    read_counts,
    submit_and_die,
    wait_until_released,
)


async def test_of_20_hand_overs_at_once_each_order_is_sent_once(
    client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    path = await add_rebalance(client, 120)

    answers = await asyncio.gather(*(client.post(path) for _ in range(20)))

    found = Counter(answer.status_code for answer in answers)
    assert found[200] >= 1
    assert found[200] + found[409] == 20
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert refused.json()["type"] == "/problems/hand-over-in-progress"
    assert int(refused.headers["retry-after"]) > 0
    await assert_each_is_there_once(desk, 120)


async def test_an_order_that_is_called_a_failure_but_was_saved_is_found_at_once(
    client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    desk.faults = [
        flaky_order_service.save_but_report_failure,
        flaky_order_service.save_without_index,
    ]
    path = await add_rebalance(client, 3)

    answer = await client.post(path)

    assert (answer.status_code, read_counts(answer)) == (200, {"SENT": 30})
    assert {order["message"] for order in answer.json()["orders"]} == {None}
    await assert_each_is_there_once(desk, 3)


async def test_an_answer_that_is_lost_is_read_back_and_nothing_is_sent_twice(
    client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    desk.faults = [flaky_order_service.lose_answer]
    path = await add_rebalance(client, 120)

    answer = await client.post(path)

    assert (answer.status_code, read_counts(answer)) == (200, {"SENT": 1200})
    assert [len(batch) for batch in desk.posted] == [1000, 200]
    await assert_each_is_there_once(desk, 120)


@pytest.mark.parametrize(
    "fault",
    [
        flaky_order_service.lose_request,
        flaky_order_service.report_overload,
        flaky_order_service.save_first_only(7),
        flaky_order_service.save_first_only(7, status=504),
    ],
)
async def test_while_orders_may_still_arrive_nothing_is_sent_and_then_only_what_is_missing(
    client: httpx.AsyncClient, stored: Stored, desk: OrderDesk, fault: flaky_order_service.Fault
) -> None:
    desk.faults = [fault]
    path = await add_rebalance(client, 2)

    first, second = await client.post(path), await client.post(path)

    arrived = len(await desk.read_orders())
    for answer in (first, second):
        assert answer.status_code == 503
        assert answer.json()["type"] == "/problems/orders-in-doubt"
        assert answer.json()["orders_in_doubt"] == 20 - arrived
        assert 3500 < int(answer.headers["retry-after"]) <= 3600
    assert len(desk.posted) == 1
    connect_desk(stored, desk, NO_WAIT)
    third = await client.post(path)
    assert (third.status_code, read_counts(third)) == (200, {"SENT": 20})
    assert [len(batch) for batch in desk.posted] == [20, 20 - arrived]
    await assert_each_is_there_once(desk, 2)


async def test_a_process_that_dies_between_sending_and_recording_leaves_nothing_to_send_twice(
    client: httpx.AsyncClient, stored: Stored, desk: OrderDesk
) -> None:
    path = await add_rebalance(client, 3)
    await submit_and_die(stored, path)
    assert read_counts(await client.get(path)) == {"SENDING": 30}

    answer = await client.post(path)

    assert (answer.status_code, read_counts(answer)) == (200, {"SENT": 30})
    assert len(desk.posted) == 1
    await assert_each_is_there_once(desk, 3)


async def test_a_caller_who_hangs_up_leaves_the_batch_that_is_out_to_be_settled(
    client: httpx.AsyncClient, stored: Stored, desk: OrderDesk
) -> None:
    out, answered = asyncio.Event(), asyncio.Event()

    async def slow(send: flaky_order_service.Send, request: httpx.Request) -> httpx.Response:
        out.set()
        await answered.wait()
        return await send(request)

    desk.faults = [slow]
    path = await add_rebalance(client, 120)
    call = asyncio.create_task(
        stored.deployment.submit_orders(path.split("/")[4], OpenOrdersRule.REFUSE, 10)
    )
    await out.wait()
    call.cancel()
    await asyncio.wait([call])
    answered.set()
    await wait_until_released(stored, path)

    assert call.cancelled()
    assert read_counts(await client.get(path)) == {"SENT": 1000, "PENDING": 200}
    assert (await client.post(path)).status_code == 200
    await assert_each_is_there_once(desk, 120)


async def test_an_order_service_that_is_down_is_a_503_and_what_was_sent_stays_sent(
    client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    path = await add_rebalance(client, 150)

    async def well(send: flaky_order_service.Send, request: httpx.Request) -> httpx.Response:
        return await send(request)

    desk.faults = [well, *[flaky_order_service.refuse_connection] * 3]
    down = await client.post(path)

    assert down.status_code == 503
    assert down.json()["upstream"] == "order"
    assert int(down.headers["retry-after"]) > 0
    assert read_counts(await client.get(path)) == {"SENT": 1000, "PENDING": 500}
    assert (await client.post(path)).status_code == 200
    await assert_each_is_there_once(desk, 150)


@pytest.mark.parametrize("read_at", ["next_batch", "claim"])
async def test_references_that_cannot_be_read_keep_a_claimed_batch_from_going_out_and_not_in_doubt(
    client: httpx.AsyncClient, stored: Stored, desk: OrderDesk, read_at: str
) -> None:
    path = await add_rebalance(client, 2)
    service = stored.resources.order_service
    part: Any = stored.resources.orders if read_at == "claim" else stored.resources.submissions
    begin_step = getattr(part, read_at)

    async def forget_references(*given: Any) -> Any:
        desk.has_blotters = False
        service.references.cache_clear()
        return await begin_step(*given)

    setattr(part, read_at, forget_references)
    broken = await client.post(path)

    assert (broken.status_code, broken.json()["type"]) == (502, "/problems/upstream-contract")
    assert read_counts(await client.get(path)) == {"PENDING": 20}
    setattr(part, read_at, begin_step)
    desk.has_blotters = True
    assert (await client.post(path)).status_code == 200
    assert [len(batch) for batch in desk.posted] == [20]


async def test_an_order_service_that_takes_nothing_is_not_pressed_and_next_time_gets_other_orders(
    client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    desk.faults = [
        flaky_order_service.refuse_first(1000, "System overloaded - database operation timeout")
    ]
    path = await add_rebalance(client, 150)

    first = await client.post(path)

    assert (first.status_code, read_counts(first)) == (207, {"FAILED": 1000, "PENDING": 500})
    assert len(desk.posted) == 1
    assert (await client.post(path)).status_code == 200
    assert {order["portfolioId"] for order in desk.posted[1][-500:]} >= {f"P{149:023}"}
    await assert_each_is_there_once(desk, 150)
