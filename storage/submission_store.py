"""Hand-overs: who hands the orders of a rebalance over now, and the timestamps of the batches.

A hand-over is leased: its process renews the lease with every batch, and one that died loses it. A
lease that has lapsed is taken away by whoever needs what it holds, so that a process which merely stood
still cannot renew it and go on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NoReturn

from pymongo.asynchronous.database import AsyncDatabase

from storage.errors import HandOverInProgressError
from storage.mongo.connection import Document, require_object_id, translating
from storage.mongo.leases import NOW_MS, Leases, held_by, is_holder
from storage.order import Order, OrderState

COLLECTION = "order_submissions"
LEASE: Final = timedelta(minutes=3)  # outlasts one batch: its request, and the reading back
STEP_MS: Final = 1  # what the order service's timestamps surely keep


class SubmissionStatus(StrEnum):
    """Progress of a hand-over."""

    COMPLETE = "COMPLETE"  # the order service has every order
    PARTIAL = "PARTIAL"
    NOT_SENT = "NOT_SENT"  # no order went out


@dataclass(frozen=True, slots=True)
class OrderSubmission:
    """Counts of the orders of a rebalance by state, and a page of the orders.

    ``listed`` counts the orders in the states that were asked for, of which ``orders`` is the page.
    ``transactions`` counts those of the rebalance; before the first hand-over there are no orders of them.
    """

    rebalance_id: str
    counts: Mapping[OrderState, int]
    transactions: int
    orders: tuple[Order, ...] = ()
    listed: int = 0
    is_prepared: bool = True

    @property
    def status(self) -> SubmissionStatus:
        """Whether all, some or none of the orders went out."""
        pending, total = self.counts[OrderState.PENDING], sum(self.counts.values())
        if self.is_prepared and self.counts[OrderState.SENT] == total:
            return SubmissionStatus.COMPLETE
        return SubmissionStatus.NOT_SENT if pending == total else SubmissionStatus.PARTIAL


class OrderSubmissionStore:
    """The hand-overs of one database."""

    def __init__(self, database: AsyncDatabase[Document], lease: timedelta = LEASE) -> None:
        self._submissions = database[COLLECTION]
        self._leases = Leases(self._submissions)
        self._lease_s = lease.total_seconds()

    @translating
    async def begin(self, rebalance_id: str, owner: str) -> bool:
        """Take the lease of a hand-over; whether all its orders are stored already.

        HandOverInProgressError while another owner has it.
        """
        require_object_id("rebalance_id", rebalance_id)
        new = {"started_at": "$$NOW", "prepared": False}
        document = await self._leases.acquire(rebalance_id, owner, self._lease_s, new)
        if not is_holder(document, owner):
            await self._raise_in_progress(rebalance_id)
        return document["prepared"]

    @translating
    async def keep(self, rebalance_id: str, owner: str) -> None:
        """Renew the lease; HandOverInProgressError if it was taken away."""
        await self._changed(rebalance_id, owner, {})

    @translating
    async def prepared(self, rebalance_id: str, owner: str) -> None:
        """Keep that all orders are stored."""
        await self._changed(rebalance_id, owner, {"prepared": True})

    @translating
    async def next_batch(self, rebalance_id: str, owner: str) -> datetime:
        """Renew the lease for another batch; its timestamp, which no other batch of its portfolios has.

        It is the moment, not a count from the first one: two hand-overs that begin at once would count
        the same, and one of them would later take the orders of the other for its own.
        """
        later = {"$max": [NOW_MS, {"$add": [{"$toLong": "$last_batch_at"}, STEP_MS]}]}
        change = {"last_batch_at": {"$toDate": later}}
        document = await self._changed(rebalance_id, owner, change)
        return document["last_batch_at"]

    @translating
    async def end_lapsed(self, rebalance_ids: Iterable[str]) -> Mapping[str, int]:
        """Take away the leases that have lapsed; owners of the others, with the seconds they have left."""
        ids = tuple(rebalance_ids)
        await self._leases.release_lapsed(ids)
        return await self._leases.seconds_left(ids)

    @translating
    async def is_prepared(self, rebalance_id: str) -> bool:
        """Whether all orders of a rebalance are stored."""
        wanted = {"_id": rebalance_id, "prepared": True}
        return await self._submissions.find_one(wanted, {"_id": 1}) is not None

    @translating
    async def end(self, rebalance_id: str, owner: str) -> None:
        """Give the lease back; of a hand-over that never got its orders nothing stays."""
        unprepared = {**held_by(rebalance_id, owner), "prepared": False}
        await self._submissions.delete_one(unprepared)
        await self._leases.release(rebalance_id, owner)

    @translating
    async def forget(self, rebalance_id: str, owner: str) -> None:
        """Remove the hand-over."""
        await self._submissions.delete_one(held_by(rebalance_id, owner))

    async def _changed(self, rebalance_id: str, owner: str, changes: Document) -> Document:
        document = await self._leases.renew(rebalance_id, owner, self._lease_s, changes)
        if document is None:
            await self._raise_in_progress(rebalance_id)
        return document

    async def _raise_in_progress(self, rebalance_id: str) -> NoReturn:
        left = await self._leases.seconds_left((rebalance_id,))
        raise HandOverInProgressError(rebalance_id, max(left.values(), default=1))
