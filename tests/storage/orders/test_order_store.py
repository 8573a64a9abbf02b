"""Stored orders and the lease of a hand-over: one claim an order, one owner a hand-over."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import WriteError

from optimization.domain.outcome import Side
from optimization.errors import RuleError
from storage.errors import HandOverInProgressError
from storage.mongo.connection import Document
from storage.orders.order import Order, OrderState, Settlement
from storage.orders.order_store import OrderStore
from storage.orders.submission_store import OrderSubmissionStore
from storage.rebalances.rebalance import new_rebalance_id
from tests.support.samples import NOON, make_id

pytestmark = pytest.mark.mongo
LATER = NOON + timedelta(minutes=5)


def some(rebalance_id: str, count: int) -> tuple[Order, ...]:
    return tuple(
        Order(
            rebalance_id, n // 3, make_id("P", n // 3), make_id("S", n % 3), Side.BUY, n + 1, NOON
        )
        for n in range(count)
    )


@pytest.fixture
def rebalance_id() -> str:
    return new_rebalance_id()


@pytest.fixture
def orders(database: AsyncDatabase[Document]) -> OrderStore:
    return OrderStore(database)


@pytest.fixture
def leases(database: AsyncDatabase[Document]) -> OrderSubmissionStore:
    return OrderSubmissionStore(database)


async def test_orders_that_are_added_twice_are_there_once_and_in_order(
    orders: OrderStore, rebalance_id: str
) -> None:
    await orders.add(some(rebalance_id, 7))
    await orders.add(some(rebalance_id, 9))
    await orders.add(())

    assert await orders.read_page(rebalance_id, 0, 100) == some(rebalance_id, 9)
    assert await orders.read_page(rebalance_id, 7, 100) == some(rebalance_id, 9)[7:]
    assert await orders.read_page(rebalance_id, 0, 0) == ()
    assert (await orders.count_by_state(rebalance_id))[OrderState.PENDING] == 9


async def test_quantities_are_whole_where_they_are_and_exact_where_they_are_not(
    orders: OrderStore, rebalance_id: str
) -> None:
    quantities = (Decimal("12.00"), Decimal("0.12345678"), 2**70)
    first = some(rebalance_id, 3)
    pairs = zip(first, quantities, strict=True)
    await orders.add([replace(order, quantity=quantity) for order, quantity in pairs])

    found = [order.quantity for order in await orders.read_page(rebalance_id, 0, 3)]

    assert found == [12, Decimal("0.12345678"), 2**70]
    assert isinstance(found[0], int)


async def test_of_20_claims_at_once_each_order_is_in_one(
    orders: OrderStore, rebalance_id: str
) -> None:
    await orders.add(some(rebalance_id, 50))

    batches = await asyncio.gather(
        *(orders.claim(rebalance_id, 10, LATER, NOON) for _ in range(20))
    )

    claimed = [order.key for batch in batches for order in batch.orders]
    assert len(claimed) == len(set(claimed))
    state = await orders.count_by_state(rebalance_id)
    assert state[OrderState.SENDING] == len(claimed)
    assert state[OrderState.SENDING] + state[OrderState.PENDING] == 50


async def test_a_batch_is_settled_by_its_own_claim_alone(
    orders: OrderStore, rebalance_id: str
) -> None:
    await orders.add(some(rebalance_id, 2))
    batch = await orders.claim(rebalance_id, 10, LATER, NOON)
    sent = {order.key: Settlement(OrderState.SENT, 7) for order in batch.orders}

    assert await orders.settle(replace(batch, claim="another"), sent) == 0
    assert await orders.settle(batch, sent) == 2
    failed = {order.key: Settlement(OrderState.FAILED, message="x") for order in batch.orders}
    assert await orders.settle(batch, failed) == 0

    found = await orders.read_page(rebalance_id, 0, 10)
    assert {(order.state, order.order_id, order.timestamp) for order in found} == {
        (OrderState.SENT, 7, LATER)
    }


async def test_a_batch_that_is_given_back_can_be_claimed_again(
    orders: OrderStore, rebalance_id: str
) -> None:
    await orders.add(some(rebalance_id, 2))
    await orders.give_back(await orders.claim(rebalance_id, 10, LATER, NOON))

    assert await orders.list_unsettled_timestamps(rebalance_id) == ()
    assert len((await orders.claim(rebalance_id, 10, LATER, NOON)).orders) == 2


async def test_orders_that_were_never_tried_go_out_before_those_that_failed(
    orders: OrderStore, rebalance_id: str
) -> None:
    await orders.add(some(rebalance_id, 4))
    batch = await orders.claim(rebalance_id, 2, LATER, NOON)
    failed = {order.key: Settlement(OrderState.FAILED, message="no") for order in batch.orders}
    await orders.settle(batch, failed)
    await orders.allow_again(rebalance_id, LATER, NOON)

    second = await orders.claim(rebalance_id, 3, LATER, NOON)

    assert {order.key for order in second.orders} > {
        order.key for order in some(rebalance_id, 4)[2:]
    }
    assert {order.message for order in second.orders} == {None}


async def test_only_what_failed_or_is_overdue_may_go_out_again(
    orders: OrderStore, rebalance_id: str
) -> None:
    await orders.add(some(rebalance_id, 4))
    batch = await orders.claim(rebalance_id, 4, LATER, NOON)
    sent, failed, unknown, sending = (order.key for order in batch.orders)
    settlements = {
        sent: Settlement(OrderState.SENT, 1),
        failed: Settlement(OrderState.FAILED, message="y" * 9000),
        unknown: Settlement(OrderState.UNKNOWN, message="lost"),
    }
    await orders.settle(batch, settlements)
    assert await orders.list_unsettled_timestamps(rebalance_id) == (LATER,)
    assert await orders.count_in_doubt(rebalance_id) == (2, NOON)

    await orders.allow_again(rebalance_id, LATER, NOON)
    assert await states(orders, rebalance_id) == "SENT PENDING UNKNOWN SENDING"
    await orders.mark_found(LATER, {unknown: 9})
    await orders.allow_again(rebalance_id, LATER, NOON + timedelta(milliseconds=1))

    assert await states(orders, rebalance_id) == "SENT PENDING SENT PENDING"
    assert await orders.count_in_doubt(rebalance_id) == (0, None)
    assert [
        order.order_id for order in await orders.read_page(rebalance_id, 0, 9, [OrderState.SENT])
    ] == [
        1,
        9,
    ]
    assert sending in {order.key for order in await orders.read_page(rebalance_id, 0, 9)}


async def test_an_order_that_failed_is_open_until_the_order_service_is_seen_not_to_have_it(
    orders: OrderStore, rebalance_id: str
) -> None:
    await orders.add(some(rebalance_id, 2))
    batch = await orders.claim(rebalance_id, 2, LATER, NOON)
    first, second = (order.key for order in batch.orders)
    failed = Settlement(OrderState.FAILED, message="unknown error")
    await orders.settle(batch, {first: failed, second: failed})
    assert await open_keys(orders, rebalance_id) == [first, second]

    await orders.close_failed(NOON, [first, second])  # of another batch
    await orders.close_failed(LATER, [])
    assert await open_keys(orders, rebalance_id) == [first, second]
    await orders.mark_found(LATER, {first: 7})
    await orders.close_failed(LATER, [first, second])

    assert await open_keys(orders, rebalance_id) == [first]
    assert await states(orders, rebalance_id) == "SENT FAILED"


async def open_keys(orders: OrderStore, rebalance_id: str) -> list[str]:
    return [order.key for order in await orders.read_page(rebalance_id, 0, 100) if order.is_open]


async def states(orders: OrderStore, rebalance_id: str) -> str:
    return " ".join(order.state for order in await orders.read_page(rebalance_id, 0, 100))


async def test_what_is_found_of_an_earlier_batch_does_not_touch_a_later_one(
    orders: OrderStore, rebalance_id: str
) -> None:
    await orders.add(some(rebalance_id, 1))
    await orders.claim(rebalance_id, 1, LATER, NOON)

    await orders.mark_found(NOON, {some(rebalance_id, 1)[0].key: 5})
    await orders.mark_found(LATER, {})

    assert await states(orders, rebalance_id) == "SENDING"


async def test_orders_of_one_rebalance_are_deleted_alone(orders: OrderStore) -> None:
    first, second = new_rebalance_id(), new_rebalance_id()
    await orders.add(some(first, 2) + some(second, 2))

    await orders.delete(first)

    assert await orders.read_page(first, 0, 9) == ()
    assert len(await orders.read_page(second, 0, 9)) == 2


@pytest.mark.parametrize(
    ("field", "wrong"), [("state", "GONE"), ("quantity", 1.5), ("side", "SHORT")]
)
async def test_a_broken_writer_of_orders_is_stopped(
    database: AsyncDatabase[Document],
    orders: OrderStore,
    rebalance_id: str,
    field: str,
    wrong: object,
) -> None:
    await orders.add(some(rebalance_id, 1))

    with pytest.raises(WriteError, match="validation"):
        await database["orders"].update_one({}, {"$set": {field: wrong}})


async def test_of_20_beginners_one_gets_the_lease_and_the_others_learn_for_how_long(
    leases: OrderSubmissionStore, rebalance_id: str
) -> None:
    found = await asyncio.gather(
        *(leases.begin(rebalance_id, f"owner {n}") for n in range(20)), return_exceptions=True
    )

    refused = [answer for answer in found if isinstance(answer, HandOverInProgressError)]
    assert len(refused) == 19
    assert {answer for answer in found if isinstance(answer, bool)} == {False}
    assert all(170 < error.leased_for_s <= 180 for error in refused)


async def test_a_lease_that_ended_can_be_taken_and_its_old_owner_notices(
    database: AsyncDatabase[Document], rebalance_id: str
) -> None:
    short = OrderSubmissionStore(database, timedelta(0))
    await short.begin(rebalance_id, "first")
    await short.mark_prepared(rebalance_id, "first")
    await asyncio.sleep(0.005)

    assert await OrderSubmissionStore(database).begin(rebalance_id, "second")

    for change in (short.keep, short.mark_prepared, short.next_batch):
        with pytest.raises(HandOverInProgressError):
            await change(rebalance_id, "first")
    await short.end(rebalance_id, "first")
    with pytest.raises(HandOverInProgressError):
        await short.begin(rebalance_id, "third")


async def test_every_batch_has_a_timestamp_of_its_own_in_whole_milliseconds(
    leases: OrderSubmissionStore, rebalance_id: str
) -> None:
    begin = datetime.now(UTC) - timedelta(milliseconds=1)
    await leases.begin(rebalance_id, "me")
    await leases.mark_prepared(rebalance_id, "me")
    stamps = [await leases.next_batch(rebalance_id, "me") for _ in range(3)]
    await leases.end(rebalance_id, "me")
    assert await leases.begin(rebalance_id, "you")
    stamps.append(await leases.next_batch(rebalance_id, "you"))

    assert all(before < after for before, after in pairwise(stamps))
    assert stamps[0] > begin
    assert {stamp.microsecond % 1000 for stamp in stamps} == {0}


async def test_a_clock_that_was_set_back_gives_no_timestamp_a_second_time(
    database: AsyncDatabase[Document], leases: OrderSubmissionStore, rebalance_id: str
) -> None:
    await leases.begin(rebalance_id, "me")
    ahead = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    await database["order_submissions"].update_one({}, {"$set": {"last_batch_at": ahead}})

    stamps = [await leases.next_batch(rebalance_id, "me") for _ in range(2)]

    assert [stamp - ahead for stamp in stamps] == [timedelta(milliseconds=n) for n in (1, 2)]


async def test_hand_overs_that_began_in_the_same_millisecond_give_different_timestamps(
    database: AsyncDatabase[Document], leases: OrderSubmissionStore
) -> None:
    rebalances = [new_rebalance_id() for _ in range(3)]
    for rebalance_id in rebalances:
        await leases.begin(rebalance_id, rebalance_id)
    await database["order_submissions"].update_many({}, {"$set": {"started_at": NOON}})

    stamps = list[datetime]()
    for rebalance_id in rebalances:
        stamps.append(await leases.next_batch(rebalance_id, rebalance_id))
        await asyncio.sleep(0.002)  # no batch of orders is claimed, sent and settled sooner

    assert len(set(stamps)) == 3


async def test_nothing_stays_of_a_hand_over_that_never_got_its_orders(
    database: AsyncDatabase[Document], leases: OrderSubmissionStore, rebalance_id: str
) -> None:
    await leases.begin(rebalance_id, "me")
    await leases.end(rebalance_id, "me")

    assert await database["order_submissions"].count_documents({}) == 0
    with pytest.raises(RuleError):
        await leases.begin("x", "me")
