"""Open orders of portfolios across rebalances: orders not known to be filled or cancelled."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from pymongo import UpdateMany, UpdateOne, timeout
from pymongo.asynchronous.database import AsyncDatabase

from storage.mongo.connection import WRITER_TIMEOUT_S, Document, translate_failures
from storage.orders.order import IN_DOUBT, Order, OrderState, decode_order
from storage.orders.order_store import COLLECTION
from storage.proposals.proposal import Hold
from storage.rebalances.outcomes import OUTCOME_BATCH_SIZE

WENT_OUT: Final = [state.value for state in (*IN_DOUBT, OrderState.SENT)]
HOLD_MESSAGE: Final = (
    "not sent: the portfolio has open orders of another rebalance that were not cancelled"
)


class OpenOrderStore:
    """The open orders of one database."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._orders = database[COLLECTION]

    @translate_failures
    async def list_orders(
        self,
        portfolio_ids: Sequence[str],
        rebalance_id: str | None = None,
        except_rebalance_id: str | None = None,
    ) -> tuple[Order, ...]:
        """Return open orders of these portfolios in all rebalances, in one or in all but one."""
        query: Document = {"portfolio_id": {"$in": list(portfolio_ids)}, "open": True}
        if rebalance_id is not None:
            query["rebalance_id"] = rebalance_id
        if except_rebalance_id is not None:
            query["rebalance_id"] = {"$ne": except_rebalance_id}
        with timeout(WRITER_TIMEOUT_S):
            cursor = self._orders.find(query, sort=[("portfolio_id", 1), ("_id", 1)])
            return tuple([decode_order(document) async for document in cursor])

    @translate_failures
    async def find_later_rebalances(
        self, portfolio_ids: Sequence[str], rebalance_id: str, moment: datetime
    ) -> Mapping[str, str]:
        """Return by portfolio the latest rebalance that began after a moment and sent orders."""
        query = {
            "portfolio_id": {"$in": list(portfolio_ids)},
            "rebalanced_at": {"$gte": moment},
            "rebalance_id": {"$ne": rebalance_id},
            "$or": [
                {"state": {"$in": WENT_OUT}},
                {"state": OrderState.FAILED.value, "open": True},
            ],
        }
        fields = {"portfolio_id": 1, "rebalance_id": 1, "rebalanced_at": 1}
        latest: dict[str, str] = {}
        with timeout(WRITER_TIMEOUT_S):
            cursor = self._orders.find(query, fields, sort=[("rebalanced_at", 1)])
            async for document in cursor:
                # The id decides a tie, because two rebalances may begin in the same millisecond.
                if (document["rebalanced_at"], document["rebalance_id"]) > (moment, rebalance_id):
                    latest[document["portfolio_id"]] = document["rebalance_id"]
        return latest

    @translate_failures
    async def mark(self, statuses: Mapping[str, str], closures: Iterable[str]) -> None:
        """Store the status of sent orders at the order service, by key, and close some orders."""
        over = frozenset(closures)
        changes = [
            UpdateOne(
                {"_id": key, "state": OrderState.SENT.value, "open": True},
                {"$set": {"service_status": status}}
                | ({"$unset": {"open": ""}} if key in over else {}),
            )
            for key, status in statuses.items()
        ]
        for start in range(0, len(changes), OUTCOME_BATCH_SIZE):
            with timeout(WRITER_TIMEOUT_S):
                await self._orders.bulk_write(
                    changes[start : start + OUTCOME_BATCH_SIZE], ordered=False
                )

    @translate_failures
    async def list_pending_portfolios(self, rebalance_id: str) -> tuple[str, ...]:
        """Return the portfolios with pending orders of the rebalance, ascending."""
        query = {"rebalance_id": rebalance_id, "state": OrderState.PENDING.value}
        stages = [{"$match": query}, {"$group": {"_id": "$portfolio_id"}}, {"$sort": {"_id": 1}}]
        with timeout(WRITER_TIMEOUT_S):
            groups = await self._orders.aggregate(stages)
            return tuple([group["_id"] async for group in groups])

    @translate_failures
    async def hold(
        self, rebalance_id: str, portfolio_ids: Sequence[str], message: str = HOLD_MESSAGE
    ) -> None:
        """Keep the pending orders of some portfolios of a rebalance from being sent."""
        query = {"portfolio_id": {"$in": list(portfolio_ids)}, "state": OrderState.PENDING.value}
        change = {"$set": {"held": True, "message": message}}
        with timeout(WRITER_TIMEOUT_S):
            await self._orders.update_many({"rebalance_id": rebalance_id, **query}, change)

    @translate_failures
    async def hold_back(self, rebalance_id: str, holds: Sequence[Hold]) -> None:
        """Keep the portfolios and trades that a proposal holds back from being sent."""
        query = {"rebalance_id": rebalance_id, "state": OrderState.PENDING.value}
        for start in range(0, len(holds), OUTCOME_BATCH_SIZE):
            changes = [
                UpdateMany(
                    {**query, "portfolio_id": hold.portfolio_id, **_build_security_filter(hold)},
                    {"$set": {"held": True, "message": _format_hold_message(hold)}},
                )
                for hold in holds[start : start + OUTCOME_BATCH_SIZE]
            ]
            with timeout(WRITER_TIMEOUT_S):
                await self._orders.bulk_write(changes, ordered=False)

    @translate_failures
    async def release(self, rebalance_id: str) -> None:
        """Allow the held orders of a rebalance to be sent again."""
        query = {"rebalance_id": rebalance_id, "state": OrderState.PENDING.value, "held": True}
        with timeout(WRITER_TIMEOUT_S):
            await self._orders.update_many(query, {"$unset": {"held": "", "message": ""}})


def _build_security_filter(hold: Hold) -> Document:
    return {} if hold.security_id is None else {"security_id": hold.security_id}


def _format_hold_message(hold: Hold) -> str:
    return f"not sent: held by {hold.principal}{f': {hold.note}' if hold.note else ''}"
