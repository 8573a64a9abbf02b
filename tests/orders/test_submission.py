"""Submission of the orders of a rebalance to the simulated order service."""

from collections import Counter
from typing import Any

import httpx
import pytest

from serve_app.orders.submission import OrderSubmitter
from tests.support import flaky_order_service
from tests.support.fakes import (
    FakeOptimizer,
    P,
    Q,
    Stored,
    make_model_body,
    make_purchase,
    make_refusal,
)
from tests.support.flaky_order_service import OrderDesk
from tests.support.submissions import (
    PATIENT,
    SECURITIES,
    add_rebalance,
    assert_each_is_there_once,
    connect_desk,
    read_counts,
)


async def test_a_rebalance_is_handed_over_and_every_order_has_its_id(
    client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    path = await add_rebalance(client, 2, 1)

    answer = await client.post(path)

    body = answer.json()
    assert answer.status_code == 200
    assert (body["status"], body["number_of_orders"]) == ("COMPLETE", 2)
    assert body["rebalance_id"] in path
    (there, _) = await desk.read_orders()
    assert body["orders"][0] == {
        "portfolio_id": f"P{0:023}",
        "security_id": SECURITIES[0],
        "transaction_type": "BUY",
        "quantity": 1,
        "status": "SENT",
        "order_id": there["id"],
        "message": None,
        "order_timestamp": there["orderTimestamp"],
        "service_status": None,
    }
    await assert_each_is_there_once(desk, 2, 1)


async def test_2500_orders_go_out_in_3_batches_and_are_listed_page_by_page(
    client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    path = await add_rebalance(client, 250)

    answer = await client.post(path)

    assert [len(batch) for batch in desk.posted] == [1000, 1000, 500]
    assert len({order["orderTimestamp"] for batch in desk.posted for order in batch}) == 3
    assert read_counts(answer) == {"SENT": 2500}
    assert len(answer.json()["orders"]) == 1000
    assert answer.headers["x-total-count"] == "2500"
    assert 'offset=1000&limit=1000>; rel="next"' in answer.headers["link"]
    last = await client.get(path, params={"offset": 2490, "limit": 1000})
    ids = [line["order_id"] for line in last.json()["orders"]]
    assert len(ids) == 10
    assert set(ids) <= {order["id"] for order in await desk.read_orders()}
    await assert_each_is_there_once(desk, 250)


async def test_a_second_hand_over_finds_nothing_to_send(
    client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    path = await add_rebalance(client, 3)
    first = await client.post(path)

    second = await client.post(path)

    assert (second.status_code, second.json()) == (200, first.json())
    assert len(desk.posted) == 1


async def test_answers_in_any_order_reach_their_orders(
    client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    desk.faults = [flaky_order_service.reverse_answers]
    path = await add_rebalance(client, 20)

    answer = await client.post(path)

    there = {
        (order["portfolio"]["portfolioId"], order["security"]["securityId"]): order["id"]
        for order in await desk.read_orders()
    }
    lines = answer.json()["orders"]
    assert {
        (line["portfolio_id"], line["security_id"]): line["order_id"] for line in lines
    } == there


async def test_what_is_refused_is_a_207_and_goes_out_again_alone(
    client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    desk.faults = [flaky_order_service.refuse_first(2)]
    path = await add_rebalance(client, 3)

    first = await client.post(path)

    assert first.status_code == 207
    assert first.json()["status"] == "PARTIAL"
    assert read_counts(first) == {"SENT": 28, "FAILED": 2}
    failed = await client.get(path, params={"status": ["FAILED", "UNKNOWN"]})
    assert failed.headers["x-total-count"] == "2"
    assert {order["message"] for order in failed.json()["orders"]} == {"Blotter ID is required"}
    second = await client.post(path)
    assert (second.status_code, read_counts(second)) == (200, {"SENT": 30})
    assert [len(batch) for batch in desk.posted] == [30, 2]
    await assert_each_is_there_once(desk, 3)


async def test_a_request_sends_for_a_bounded_time_and_the_next_one_goes_on(
    client: httpx.AsyncClient, stored: Stored, desk: OrderDesk
) -> None:
    stored.submitter = OrderSubmitter(stored.resources, PATIENT, send_for_s=0.0)
    path = await add_rebalance(client, 2)

    first = await client.post(path)

    assert (first.status_code, read_counts(first)) == (207, {"PENDING": 20})
    connect_desk(stored, desk)
    assert (await client.post(path)).status_code == 200


async def test_orders_are_counted_by_what_became_of_them(
    client: httpx.AsyncClient, stored: Stored, desk: OrderDesk
) -> None:
    seen = Counter[str]()
    stored.submitter = OrderSubmitter(stored.resources, PATIENT, count=seen.update)
    path = await add_rebalance(client, 3)
    desk.faults = [flaky_order_service.save_but_report_failure, flaky_order_service.refuse_first(2)]

    await client.post(path)
    assert seen == {"SENT": 29, "FAILED": 1, "FOUND": 1}

    path = await add_rebalance(client, 3, name="Income")
    await client.post(path, json={"open_orders": "ADD"})
    assert seen == {"SENT": 57, "FAILED": 3, "FOUND": 1}

    desk.faults = [flaky_order_service.lose_answer]
    await client.post(path, json={"open_orders": "ADD"})
    assert seen == {"SENT": 57, "FAILED": 3, "FOUND": 3, "UNKNOWN": 2}


async def test_the_same_key_is_answered_from_what_was_sent(
    client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    path, key = await add_rebalance(client, 2), {"idempotency-key": "key-1"}
    desk.faults = [flaky_order_service.refuse_connection] * 3

    down, first, again = [await client.post(path, headers=key) for _ in range(3)]

    assert (down.status_code, first.status_code, again.status_code) == (503, 200, 200)
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    await assert_each_is_there_once(desk, 2)


async def test_a_rebalance_without_transactions_is_complete_at_once(
    client: httpx.AsyncClient, desk: OrderDesk, optimizer: FakeOptimizer
) -> None:
    optimizer.outcome = lambda portfolio_id, _: (
        make_purchase(portfolio_id, ()) if portfolio_id == P else make_refusal("infeasible", Q)
    )
    model = (await client.post("/api/v1/models", json=make_model_body())).json()
    made = (await client.post(f"/api/v1/model/{model['model_id']}/rebalance")).json()

    answer = await client.post(f"/api/v1/rebalance/{made[0]['rebalance_id']}/orders")

    assert (answer.status_code, answer.json()["status"]) == (200, "COMPLETE")
    assert (answer.json()["number_of_orders"], desk.posted) == (0, [])


@pytest.mark.parametrize("status", ["RUNNING", "STOPPED"])
async def test_a_rebalance_that_is_not_completed_is_not_handed_over(
    client: httpx.AsyncClient, desk: OrderDesk, database: Any, status: str
) -> None:
    path = await add_rebalance(client, 2)
    await database["rebalances"].update_one({}, {"$set": {"status": status}})

    answer = await client.post(path)

    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/rebalance-not-completed"
    assert (desk.posted, read_counts(await client.get(path))) == ([], {})


@pytest.mark.parametrize(("rebalance_id", "status"), [("0" * 24, 404), ("zz", 400)])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_rebalance_that_is_not_stored_has_no_orders(
    client: httpx.AsyncClient, desk: OrderDesk, rebalance_id: str, status: int, method: str
) -> None:
    answer = await client.request(method, f"/api/v1/rebalance/{rebalance_id}/orders")

    assert answer.status_code == status


async def test_a_rebalance_whose_orders_were_sent_is_kept(
    client: httpx.AsyncClient, desk: OrderDesk
) -> None:
    path = await add_rebalance(client, 2)
    await client.post(path)

    answer = await client.delete(path.removesuffix("/orders"), params={"version": 1})

    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/orders-sent"
    assert read_counts(await client.get(path)) == {"SENT": 20}


async def test_a_rebalance_of_which_no_order_went_out_is_deleted_with_its_orders(
    client: httpx.AsyncClient, desk: OrderDesk, database: Any
) -> None:
    path = await add_rebalance(client, 2)
    desk.faults = [flaky_order_service.refuse_connection] * 3
    await client.post(path)
    rebalance = (
        path.removesuffix("/orders").upper().replace("/API/V1/REBALANCE", "/api/v1/rebalance")
    )

    stale = await client.delete(rebalance, params={"version": 2})
    assert (stale.status_code, stale.json()["type"]) == (409, "/problems/stale-version")
    assert read_counts(await client.get(path)) == {"PENDING": 20}
    gone = await client.delete(rebalance, params={"version": 1})

    assert gone.status_code == 200
    for collection in ("orders", "order_submissions", "rebalances", "outcomes", "outcome_chunks"):
        assert await database[collection].count_documents({}) == 0
