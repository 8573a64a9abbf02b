"""Orders across rebalances: an open order of a portfolio is not sent a second time."""

import asyncio
from collections import Counter

import httpx
import pytest

from storage.orders.order import OpenOrdersRule
from tests.support import flaky_order_service
from tests.support.fakes import Stored
from tests.support.flaky_order_service import OrderDesk
from tests.support.submissions import (
    NO_WAIT,
    add_rebalance,
    connect_desk,
    parse_rebalance_id,
    read_code,
    read_counts,
    submit_and_die,
    submit_orders,
)


async def test_a_second_rebalance_of_the_same_portfolios_is_refused_and_says_which(
    client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    first = await add_rebalance(client, 3)
    await client.post(first)
    second = await add_rebalance(client, 5, name="Again")

    answer = await client.post(second)

    problem = answer.json()
    assert (answer.status_code, read_code(answer)) == (409, "orders-open")
    assert (problem["number_of_portfolios"], problem["number_of_open_orders"]) == (3, 30)
    assert problem["portfolios"][0] == {
        "portfolio_id": f"P{0:023}",
        "rebalance_ids": [parse_rebalance_id(first)],
        "open_orders": 10,
    }
    assert [len(batch) for batch in desk.posted] == [30]
    left = (await client.get(second)).json()
    assert (left["status"], left["number_of_transactions"]) == ("NOT_SENT", 50)


async def test_the_portfolios_that_are_listed_are_the_first_twenty(
    client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    await client.post(await add_rebalance(client, 30, 1))

    problem = (await client.post(await add_rebalance(client, 30, 1, name="Again"))).json()

    assert problem["number_of_portfolios"] == 30
    assert [row["portfolio_id"] for row in problem["portfolios"]] == [
        f"P{number:023}" for number in range(20)
    ]


async def test_add_sends_on_top_of_open_orders(client: httpx.AsyncClient, desk: OrderDesk) -> None:
    await client.post(await add_rebalance(client, 2))
    second = await add_rebalance(client, 2, name="Again")

    answer = await submit_orders(client, second, "ADD")

    assert (answer.status_code, read_counts(answer)) == (200, {"SENT": 20})
    assert Counter(Counter(await desk.read_keys()).values()) == {2: 20}


@pytest.mark.parametrize("status", ["FULL", "CNCLD", "CPART", "DEL"])
async def test_orders_that_are_filled_or_cancelled_are_open_no_more(
    client: httpx.AsyncClient, desk: OrderDesk, status: str
) -> None:
    first = await add_rebalance(client, 2, 1)
    await client.post(first)
    for order in await desk.read_orders():
        await desk.update(order["id"], status)

    answer = await client.post(await add_rebalance(client, 2, 1, name="Again"))

    assert (answer.status_code, read_counts(answer)) == (200, {"SENT": 2})
    lines = (await client.get(first)).json()["orders"]
    assert {(line["status"], line["service_status"]) for line in lines} == {("SENT", status)}


@pytest.mark.parametrize("status", ["NEW", "SENT", "WORK", "PART", "HOLD", "CNCL"])
async def test_orders_in_any_other_status_stay_open(
    client: httpx.AsyncClient, desk: OrderDesk, status: str
) -> None:
    await client.post(await add_rebalance(client, 1, 1))
    await desk.update(1, status)

    answer = await client.post(await add_rebalance(client, 1, 1, name="Again"))

    assert (answer.status_code, read_code(answer)) == (409, "orders-open")


async def test_an_order_that_was_removed_is_open_only_if_it_was_submitted_before(
    client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    await client.post(await add_rebalance(client, 1, 2))
    await desk.submit(1)
    second = await add_rebalance(client, 1, 2, name="Again")
    await client.post(second)
    for order_id in (1, 2):
        await desk.remove(order_id)

    problem = (await client.post(second)).json()

    assert problem["number_of_open_orders"] == 1


async def test_an_order_that_is_gone_and_was_never_looked_up_stays_open(
    client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    first = await add_rebalance(client, 1, 2)
    await client.post(first)
    await desk.remove(1)
    second = await add_rebalance(client, 1, 2, name="Again")

    for _ in range(2):
        problem = (await client.post(second)).json()
        assert problem["number_of_open_orders"] == 2

    lines = (await client.get(first)).json()["orders"]
    assert [line["service_status"] for line in lines] == [None, "NEW"]
    await desk.remove(2)
    assert (await client.post(second)).json()["number_of_open_orders"] == 1
    assert (await submit_orders(client, second, "ADD")).status_code == 200


def make_unverified_fault(
    fault: flaky_order_service.Fault, desk: OrderDesk
) -> flaky_order_service.Fault:
    """Make a fault after which the order service does not respond any more."""

    async def spoiled(send: flaky_order_service.Send, request: httpx.Request) -> httpx.Response:
        answer = await fault(send, request)
        desk.is_down = True
        return answer

    return spoiled


async def test_an_order_that_is_called_a_failure_but_was_saved_is_open_although_nobody_could_look(
    client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    older = await add_rebalance(client, 1, 1, name="Older")
    first = await add_rebalance(client, 1, 1)
    desk.faults = [make_unverified_fault(flaky_order_service.save_but_report_failure, desk)]
    assert read_counts(await client.post(first)) == {"FAILED": 1}
    newer = await add_rebalance(client, 1, 1, name="Newer")
    desk.is_down = False

    assert read_code(await client.post(older)) == "rebalance-superseded"
    assert read_code(await client.post(newer)) == "orders-open"

    assert len(await desk.read_orders()) == 1
    assert read_counts(await client.get(first)) == {"SENT": 1}


async def test_an_order_that_was_refused_is_in_the_way_only_until_it_is_looked_up(
    client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    older = await add_rebalance(client, 1, 1, name="Older")
    first = await add_rebalance(client, 1, 1)
    desk.faults = [
        make_unverified_fault(flaky_order_service.refuse_first(1), desk),
        flaky_order_service.refuse_first(1),
    ]
    assert read_counts(await client.post(first)) == {"FAILED": 1}
    newer = await add_rebalance(client, 1, 1, name="Newer")
    desk.is_down = False

    assert read_counts(await client.post(newer)) == {"FAILED": 1}
    assert read_counts(await client.get(first)) == {"FAILED": 1}
    assert (await client.post(older)).status_code == 200


@pytest.mark.parametrize("rule", OpenOrdersRule)
async def test_a_rebalance_that_is_older_than_one_that_was_sent_is_refused_whatever_the_option(
    client: httpx.AsyncClient, desk: OrderDesk, rule: str
) -> None:
    older = await add_rebalance(client, 2)
    newer = await add_rebalance(client, 1, name="Again")
    await client.post(newer)
    for order in await desk.read_orders():
        await desk.update(order["id"], "FULL")

    answer = await submit_orders(client, older, rule)

    assert (answer.status_code, read_code(answer)) == (409, "rebalance-superseded")
    assert answer.json()["number_of_portfolios"] == 1
    assert answer.json()["portfolios"] == [
        {"portfolio_id": f"P{0:023}", "rebalance_id": parse_rebalance_id(newer)}
    ]
    assert len(desk.posted) == 1


async def test_a_rebalance_that_was_sent_is_answered_again_after_a_newer_one(
    client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    older = await add_rebalance(client, 2)
    first = await client.post(older)
    await submit_orders(client, await add_rebalance(client, 2, name="Again"), "ADD")

    again = await client.post(older)

    assert (again.status_code, again.json()) == (200, first.json())
    assert len(desk.posted) == 2


async def test_of_simultaneous_hand_overs_of_rebalances_of_the_same_portfolios_one_sends(
    client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    paths = [await add_rebalance(client, 40, 3, name=f"Model {number}") for number in range(8)]

    answers = await asyncio.gather(*(client.post(path) for path in paths))

    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 7}
    refused = {read_code(answer) for answer in answers if answer.status_code == 409}
    assert refused <= {"hand-over-in-progress", "orders-open", "rebalance-superseded"}
    assert set(Counter(await desk.read_keys()).values()) == {1}
    assert len(await desk.read_orders()) == 120


async def test_hand_overs_that_share_one_portfolio_each_do_not_keep_each_other_out_for_ever(
    client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    paths = [await add_rebalance(client, 10 + number, 1, name=f"M{number}") for number in range(4)]

    answers = await asyncio.gather(*(client.post(path) for path in paths))

    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 3}


@pytest.mark.parametrize(
    "fault", [flaky_order_service.lose_request, flaky_order_service.report_overload]
)
@pytest.mark.parametrize("rule", ["REFUSE", "REPLACE"])
async def test_what_is_in_doubt_is_open_until_it_is_certain_not_to_have_arrived(
    client: httpx.AsyncClient,
    stored: Stored,
    desk: OrderDesk,
    fault: flaky_order_service.Fault,
    rule: str,
) -> None:
    desk.faults = [fault]
    first = await add_rebalance(client, 2)
    assert (await client.post(first)).status_code == 503
    second = await add_rebalance(client, 2, name="Again")

    answer = await submit_orders(client, second, rule)

    assert (answer.status_code, read_code(answer)) == (409, "orders-open")
    assert answer.json()["number_of_open_orders"] == 20
    connect_desk(stored, desk, NO_WAIT)
    after = await submit_orders(client, second, rule)
    assert (after.status_code, read_counts(after)) == (200, {"SENT": 20})
    late = await client.post(first)
    assert (late.status_code, read_code(late)) == (409, "rebalance-superseded")
    assert len(await desk.read_orders()) == 20


async def test_what_arrived_though_nobody_said_so_is_found_and_can_be_replaced(
    client: httpx.AsyncClient, stored: Stored, desk: OrderDesk
) -> None:
    first = await add_rebalance(client, 2)
    await submit_and_die(stored, first)
    assert read_counts(await client.get(first)) == {"SENDING": 20}
    second = await add_rebalance(client, 2, name="Again")

    refused = await client.post(second)
    replaced = await submit_orders(client, second, "REPLACE")

    assert (refused.status_code, refused.json()["number_of_open_orders"]) == (409, 20)
    assert (replaced.status_code, read_counts(replaced)) == (200, {"SENT": 20})
    found = Counter(order["status"]["abbreviation"] for order in await desk.read_orders())
    assert found == {"CNCLD": 20, "NEW": 20}


async def test_a_hand_over_that_was_broken_off_goes_on_after_it_cancelled(
    client: httpx.AsyncClient, stored: Stored, desk: OrderDesk
) -> None:
    await client.post(await add_rebalance(client, 2))
    second = await add_rebalance(client, 2, name="Again")
    desk.faults = [flaky_order_service.refuse_connection] * 3

    down = await submit_orders(client, second, "REPLACE")
    again = await submit_orders(client, second, "REPLACE")

    assert (down.status_code, again.status_code) == (503, 200)
    found = Counter(order["status"]["abbreviation"] for order in await desk.read_orders())
    assert found == {"CNCLD": 20, "NEW": 20}


async def test_an_order_service_that_cannot_be_asked_is_a_503_and_nothing_is_sent(
    client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    await client.post(await add_rebalance(client, 1))
    second = await add_rebalance(client, 1, name="Again")
    desk.is_down = True

    answer = await client.post(second)

    assert (answer.status_code, answer.json()["upstream"]) == (503, "order")
    assert len(desk.posted) == 1


@pytest.mark.parametrize(
    "body", [{"open_orders": "MAYBE"}, {"open_order": "ADD"}, {"open_orders": None}, []]
)
async def test_an_option_that_does_not_exist_is_refused_by_its_name(
    client: httpx.AsyncClient, desk: OrderDesk, body: object
) -> None:
    answer = await client.post(await add_rebalance(client, 1), json=body)

    assert answer.status_code == 422
    assert desk.posted == []


async def test_before_the_first_hand_over_nothing_is_sent_of_so_many_transactions(
    client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    path = await add_rebalance(client, 3)

    before = (await client.get(path)).json()
    await client.post(path)
    after = (await client.get(path)).json()

    assert (before["status"], before["number_of_transactions"]) == ("NOT_SENT", 30)
    assert (before["number_of_orders"], before["orders"]) == (0, [])
    assert (after["status"], after["number_of_transactions"]) == ("COMPLETE", 30)
