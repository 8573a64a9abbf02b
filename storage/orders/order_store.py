"""OrderStore: the stored orders of all rebalances, one document each.

Every change of a state names the previous state, and where needed the claim, because otherwise two
processes could both take one order.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from pymongo import UpdateOne, timeout
from pymongo.asynchronous.database import AsyncDatabase

from storage.mongo.connection import WRITER_TIMEOUT_S, Document, translate_failures
from storage.orders.order import (
    IN_DOUBT,
    UNSETTLED,
    Batch,
    Order,
    OrderState,
    Settlement,
    decode_order,
    encode_order,
)
from storage.rebalances.outcomes import OUTCOME_BATCH_SIZE, allow_repetition, parse_ordinal

COLLECTION = "orders"
MAX_MESSAGE_LENGTH: Final = 500


class OrderStore:
    """The stored orders of one database."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._orders = database[COLLECTION]

    @translate_failures
    async def add(self, orders: Sequence[Order]) -> None:
        """Store orders to send; an order that is stored already stays as it is."""
        for start in range(0, len(orders), OUTCOME_BATCH_SIZE):
            documents = [
                encode_order(order) for order in orders[start : start + OUTCOME_BATCH_SIZE]
            ]
            with allow_repetition():
                await self._orders.insert_many(documents, ordered=False)

    @translate_failures
    async def read_last_place(self, rebalance_id: str) -> int:
        """Return the highest ordinal of a portfolio with a stored order; 0 without orders."""
        last = await self._orders.find_one(
            {"rebalance_id": rebalance_id}, {"_id": 1}, sort=[("_id", -1)]
        )
        return 0 if last is None else parse_ordinal(last["_id"])

    @translate_failures
    async def claim(
        self, rebalance_id: str, max_orders: int, timestamp: datetime, now: datetime
    ) -> Batch:
        """Claim pending orders for the next request; orders with the fewest attempts come first."""
        claim = uuid4().hex
        query = {
            "rebalance_id": rebalance_id,
            "state": OrderState.PENDING.value,
            "held": None,
        }
        order = [("attempts", 1), ("_id", 1)]
        cursor = self._orders.find(
            query, {"_id": 1}, sort=order, limit=max_orders, batch_size=max_orders
        )
        keys = {"$in": [document["_id"] async for document in cursor]}
        mark = {"claim": claim, "claimed_at": now, "timestamp": timestamp}
        await self._orders.update_many(
            {**query, "_id": keys},
            {
                "$set": {"state": OrderState.SENDING.value, "open": True, **mark},
                "$inc": {"attempts": 1},
                "$unset": {"message": "", "service_status": ""},
            },
        )
        cursor = self._orders.find(
            {"_id": keys, "claim": claim}, sort=[("_id", 1)], batch_size=max_orders
        )
        orders = tuple([decode_order(document) async for document in cursor])
        return Batch(rebalance_id, claim, timestamp, orders)

    @translate_failures
    async def give_back(self, batch: Batch) -> None:
        """Make the orders of a batch pending again, because the batch was never sent."""
        await self._orders.update_many(
            self._build_claim_filter(batch),
            {
                "$set": {"state": OrderState.PENDING.value},
                "$unset": {"claim": "", "timestamp": "", "open": ""},
            },
        )

    @translate_failures
    async def settle(self, batch: Batch, settlements: Mapping[str, Settlement]) -> int:
        """Store the outcomes of a batch's orders, by key, and count the settled orders."""
        # The filter names no rebalance, because then the database tries no other index than _id.
        in_claim = {"state": OrderState.SENDING.value, "claim": batch.claim}
        changes = [
            UpdateOne({"_id": key, **in_claim}, _build_settlement_update(settlement))
            for key, settlement in settlements.items()
        ]
        with timeout(WRITER_TIMEOUT_S):
            return (await self._orders.bulk_write(changes, ordered=False)).matched_count

    @translate_failures
    async def list_unsettled_timestamps(self, rebalance_id: str) -> tuple[datetime, ...]:
        """Return the timestamps of the batches that have unsettled orders."""
        query = _build_state_filter(rebalance_id, UNSETTLED)
        return tuple(sorted(await self._orders.distinct("timestamp", query)))

    @translate_failures
    async def list_unsettled(self, rebalance_id: str, timestamp: datetime) -> tuple[Order, ...]:
        """Return the unsettled orders of one batch."""
        query = {**_build_state_filter(rebalance_id, UNSETTLED), "timestamp": timestamp}
        return tuple([decode_order(document) async for document in self._orders.find(query)])

    @translate_failures
    async def mark_found(self, timestamp: datetime, order_ids: Mapping[str, int]) -> None:
        """Mark unsettled orders of a batch, by key, as sent: the order service has them."""
        states = {"$in": [state.value for state in UNSETTLED]}
        changes = [
            UpdateOne(
                {"_id": key, "state": states, "timestamp": timestamp},
                _build_settlement_update(Settlement(OrderState.SENT, order_id)),
            )
            for key, order_id in order_ids.items()
        ]
        if changes:
            with timeout(WRITER_TIMEOUT_S):
                await self._orders.bulk_write(changes, ordered=False)

    @translate_failures
    async def close_failed(self, timestamp: datetime, keys: Sequence[str]) -> None:
        """Close failed orders of a batch, by key, because the order service does not have them."""
        query = {"_id": {"$in": list(keys)}, "state": OrderState.FAILED.value}
        if keys:
            with timeout(WRITER_TIMEOUT_S):
                await self._orders.update_many(
                    {**query, "timestamp": timestamp}, {"$unset": {"open": ""}}
                )

    @translate_failures
    async def allow_again(
        self,
        rebalance_id: str,
        timestamp: datetime,
        claimed_before: datetime,
        failed: bool = True,
    ) -> None:
        """Make orders of a batch pending again that the order service does not have.

        Failed orders become pending, and so do orders in doubt that were claimed before this
        moment, because they cannot arrive any more.
        """
        overdue = {
            "state": {"$in": [state.value for state in IN_DOUBT]},
            "claimed_at": {"$lt": claimed_before},
        }
        await self._orders.update_many(
            {
                "rebalance_id": rebalance_id,
                "timestamp": timestamp,
                "$or": [overdue, *([{"state": OrderState.FAILED.value}] if failed else [])],
            },
            {"$set": {"state": OrderState.PENDING.value}, "$unset": {"claim": "", "open": ""}},
        )

    @translate_failures
    async def count_in_doubt(self, rebalance_id: str) -> tuple[int, datetime | None]:
        """Return the number of orders in doubt, and the time of the last claim of such an order."""
        of_rebalance = {"$match": _build_state_filter(rebalance_id, IN_DOUBT)}
        tally = {"$group": {"_id": None, "count": {"$sum": 1}, "last": {"$max": "$claimed_at"}}}
        groups = await self._orders.aggregate([of_rebalance, tally])
        async for group in groups:
            return group["count"], group["last"]
        return 0, None

    @translate_failures
    async def count_by_state(self, rebalance_id: str) -> dict[OrderState, int]:
        """Count the orders of a rebalance by state, with 0 for a state without orders."""
        of_rebalance = {"$match": {"rebalance_id": rebalance_id}}
        by_state = {"$group": {"_id": "$state", "count": {"$sum": 1}}}
        with timeout(WRITER_TIMEOUT_S):
            groups = await self._orders.aggregate([of_rebalance, by_state])
            counts = {group["_id"]: group["count"] async for group in groups}
        return {state: counts.get(state.value, 0) for state in OrderState}

    @translate_failures
    async def read_page(
        self, rebalance_id: str, offset: int, limit: int, states: Iterable[OrderState] = ()
    ) -> tuple[Order, ...]:
        """Return a page of the orders of a rebalance, in all states or in some."""
        if limit == 0:  # because MongoDB takes 0 for no limit
            return ()
        choice = tuple(states)
        whole = {"rebalance_id": rebalance_id}
        query = _build_state_filter(rebalance_id, choice) if choice else whole
        cursor = self._orders.find(
            query, sort=[("_id", 1)], skip=offset, limit=limit, batch_size=limit
        )
        return tuple([decode_order(document) async for document in cursor])

    @translate_failures
    async def read_latest(
        self, states: Collection[OrderState], since: datetime | None, offset: int, limit: int
    ) -> tuple[tuple[Order, ...], int]:
        """Return a page of the orders in these states over all rebalances, and their number.

        Orders of the latest rebalance come first; ``since`` leaves out earlier rebalances.
        """
        query: Document = {"state": {"$in": sorted(state.value for state in states)}}
        if since is not None:
            query["rebalanced_at"] = {"$gte": since}
        with timeout(WRITER_TIMEOUT_S):
            total = await self._orders.count_documents(query, hint="latest_in_state")
        order = [("rebalanced_at", -1), ("_id", 1)]
        cursor = self._orders.find(
            query, sort=order, skip=offset, limit=limit, batch_size=limit, hint="latest_in_state"
        )
        return tuple([decode_order(document) async for document in cursor]), total

    @translate_failures
    async def delete(self, rebalance_id: str) -> None:
        """Remove the orders of a rebalance."""
        with timeout(WRITER_TIMEOUT_S):
            await self._orders.delete_many({"rebalance_id": rebalance_id})

    def _build_claim_filter(self, batch: Batch) -> Document:
        return {
            "rebalance_id": batch.rebalance_id,
            "state": OrderState.SENDING.value,
            "claim": batch.claim,
        }


def _build_state_filter(rebalance_id: str, states: Sequence[OrderState]) -> Document:
    return {"rebalance_id": rebalance_id, "state": {"$in": [state.value for state in states]}}


def _build_settlement_update(settlement: Settlement) -> Document:
    fields: dict[str, Any] = {"state": settlement.state.value, "open": True}
    absent = {"message": ""}
    if settlement.order_id is not None:
        fields["order_id"] = settlement.order_id
    if settlement.message is not None:
        fields["message"] = settlement.message[:MAX_MESSAGE_LENGTH]
        absent.pop("message", None)
    return {"$set": fields, "$unset": absent} if absent else {"$set": fields}
