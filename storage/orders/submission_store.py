"""Order submissions: their leases, and the timestamps of their batches.

The process that submits renews the lease with every batch, and a dead process loses the lease. A
submission that needs the portfolios of a lapsed lease removes that lease, because otherwise a
process that was merely suspended could renew the lease and continue.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NoReturn

from pymongo.asynchronous.database import AsyncDatabase

from storage.audit.author import FindAuthor, find_no_author
from storage.audit.trail import Action, AuditTrail, build_update_fields
from storage.errors import HandOverInProgressError
from storage.mongo.connection import Document, require_object_id, translate_failures
from storage.mongo.leases import NOW_MS, Leases, build_holder_filter, is_holder
from storage.orders.order import Order, OrderState

COLLECTION = "order_submissions"
LEASE: Final = timedelta(minutes=3)  # outlasts the request and the look-up of one batch
STEP_MS: Final = 1  # the precision that the order service's timestamps surely have


class SubmissionStatus(StrEnum):
    """Progress of an order submission."""

    COMPLETE = "COMPLETE"  # every order is at the order service
    PARTIAL = "PARTIAL"
    NOT_SENT = "NOT_SENT"  # no order was sent


@dataclass(frozen=True, slots=True)
class OrderSubmission:
    """Counts of the orders of a rebalance by state, and a page of the orders.

    ``total`` counts the orders in the requested states, ``orders`` is a page of these orders.
    ``transactions`` counts the transactions of the rebalance, which have no orders before the first
    submission.
    """

    rebalance_id: str
    counts: Mapping[OrderState, int]
    transactions: int
    orders: tuple[Order, ...] = ()
    total: int = 0
    is_prepared: bool = True

    @property
    def status(self) -> SubmissionStatus:
        """Progress of the submission: all, some or none of the orders were sent."""
        unsent, total = self.counts[OrderState.PENDING], sum(self.counts.values())
        if self.is_prepared and self.counts[OrderState.SENT] == total:
            return SubmissionStatus.COMPLETE
        return SubmissionStatus.NOT_SENT if unsent == total else SubmissionStatus.PARTIAL


class OrderSubmissionStore:
    """The order submissions of one database."""

    def __init__(
        self,
        database: AsyncDatabase[Document],
        lease: timedelta = LEASE,
        find_author: FindAuthor = find_no_author,
    ) -> None:
        self._trail = AuditTrail(database, find_author)
        self._submissions = database[COLLECTION]
        self._leases = Leases(self._submissions)
        self._lease_s = lease.total_seconds()

    @translate_failures
    async def begin(self, rebalance_id: str, owner: str) -> bool:
        """Take the lease of a submission; return whether all its orders are stored already.

        Raises HandOverInProgressError while another owner has the lease.
        """
        require_object_id("rebalance_id", rebalance_id)
        new = {"started_at": "$$NOW", "prepared": False}
        document = await self._leases.acquire(rebalance_id, owner, self._lease_s, new)
        if not is_holder(document, owner):
            await self._raise_in_progress(rebalance_id)
        return document["prepared"]

    @translate_failures
    async def keep(self, rebalance_id: str, owner: str) -> None:
        """Renew the lease; HandOverInProgressError if the lease was removed."""
        await self._renew(rebalance_id, owner, {})

    @translate_failures
    async def announce(self, rebalance_id: str, owner: str, action: Action, what: Document) -> None:
        """Renew the lease and record what is about to be sent to the order service.

        The record comes first, because nothing may be sent without an entry.
        """
        record = self._trail.record(action, rebalance_id, diff=what)
        await self._renew(rebalance_id, owner, build_update_fields(record))

    @translate_failures
    async def mark_prepared(self, rebalance_id: str, owner: str) -> None:
        """Record that all orders are stored."""
        await self._renew(rebalance_id, owner, {"prepared": True})

    @translate_failures
    async def next_batch(self, rebalance_id: str, owner: str) -> datetime:
        """Renew the lease, and return a timestamp that no other batch of the portfolios has.

        The timestamp is the current time rather than a counter, because two submissions that start
        at once would count alike, and one would later take the other's orders for its own.
        """
        later = {"$max": [NOW_MS, {"$add": [{"$toLong": "$last_batch_at"}, STEP_MS]}]}
        change = {"last_batch_at": {"$toDate": later}}
        document = await self._renew(rebalance_id, owner, change)
        return document["last_batch_at"]

    @translate_failures
    async def end_lapsed(self, rebalance_ids: Iterable[str]) -> Mapping[str, int]:
        """Remove lapsed leases, and return the seconds until the other leases lapse, by owner."""
        ids = tuple(rebalance_ids)
        await self._leases.release_lapsed(ids)
        return await self._leases.seconds_left(ids)

    @translate_failures
    async def is_prepared(self, rebalance_id: str) -> bool:
        """Whether all orders of a rebalance are stored."""
        query = {"_id": rebalance_id, "prepared": True}
        return await self._submissions.find_one(query, {"_id": 1}) is not None

    @translate_failures
    async def end(self, rebalance_id: str, owner: str) -> None:
        """Release the lease; remove the submission if its orders were never stored."""
        query = {**build_holder_filter(rebalance_id, owner), "prepared": False}
        await self._submissions.delete_one(query)
        await self._leases.release(rebalance_id, owner)

    @translate_failures
    async def forget(self, rebalance_id: str, owner: str) -> None:
        """Remove the submission."""
        await self._trail.remove(self._submissions, build_holder_filter(rebalance_id, owner))

    async def _renew(self, rebalance_id: str, owner: str, changes: Document) -> Document:
        document = await self._leases.renew(rebalance_id, owner, self._lease_s, changes)
        if document is None:
            await self._raise_in_progress(rebalance_id)
        return document

    async def _raise_in_progress(self, rebalance_id: str) -> NoReturn:
        seconds = await self._leases.seconds_left((rebalance_id,))
        raise HandOverInProgressError(rebalance_id, max(seconds.values(), default=1))
