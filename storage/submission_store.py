"""Hand-overs: who hands the orders of a rebalance over now, and the timestamps of the batches.

A hand-over is leased: its process renews the lease with every batch, and one that died loses it. The
database's clock says when a lease has lapsed. One that lapsed is taken away by whoever needs what it
holds, so that a process which merely stood still cannot renew it and go on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil
from typing import Final, NoReturn

from pymongo import ReturnDocument
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from storage.errors import HandOverInProgressError
from storage.mongo.connection import Document, require_object_id, translating
from storage.order import Order, OrderState

COLLECTION = "hand_overs"
LEASE: Final = timedelta(minutes=3)  # outlasts one batch: its request, and the reading back
STEP_MS: Final = 1  # what the order service's timestamps surely keep
GIVEN_BACK: Final = {"$unset": {"owner": "", "leased_until": ""}}


class HandOverStatus(StrEnum):
    """How far a hand-over is."""

    COMPLETE = "COMPLETE"  # the order service has every order
    PARTIAL = "PARTIAL"
    NOT_SENT = "NOT_SENT"  # no order went out


@dataclass(frozen=True, slots=True)
class HandOver:
    """How many orders of a rebalance are in which state, and a page of them.

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
    def status(self) -> HandOverStatus:
        """Whether all, some or none of the orders went out."""
        pending, total = self.counts[OrderState.PENDING], sum(self.counts.values())
        if self.is_prepared and self.counts[OrderState.SENT] == total:
            return HandOverStatus.COMPLETE
        return HandOverStatus.NOT_SENT if pending == total else HandOverStatus.PARTIAL


class HandOvers:
    """The hand-overs of one database."""

    def __init__(self, database: AsyncDatabase[Document], lease: timedelta = LEASE) -> None:
        self._hand_overs = database[COLLECTION]
        self._lease = lease
        self._renewed = {"$add": ["$$NOW", round(lease.total_seconds() * 1000)]}

    @translating
    async def begin(self, rebalance_id: str, owner: str) -> bool:
        """Take the lease of a hand-over; whether all its orders are stored already.

        HandOverInProgressError while another owner has it.
        """
        require_object_id("rebalance_id", rebalance_id)
        now = await self._clock()
        free = {
            "_id": rebalance_id,
            "$or": [{"owner": None}, {"leased_until": {"$lt": now}}],
        }
        change = {
            "$set": {"owner": owner, "leased_until": now + self._lease},
            "$setOnInsert": {"started_at": now, "prepared": False},
        }
        try:
            document = await self._hand_overs.find_one_and_update(
                free, change, upsert=True, return_document=ReturnDocument.AFTER
            )
        except DuplicateKeyError:
            await self._raise_in_progress(rebalance_id)
        assert document is not None
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
        later = {"$max": ["$$NOW", {"$add": ["$last_batch_at", STEP_MS]}]}
        document = await self._changed(rebalance_id, owner, {"last_batch_at": later})
        return document["last_batch_at"]

    @translating
    async def end_lapsed(self, rebalance_ids: Iterable[str]) -> Mapping[str, int]:
        """Take away the leases that have lapsed; owners of the others, with the seconds they have left."""
        now = await self._clock()
        leased = {"_id": {"$in": list(rebalance_ids)}, "owner": {"$ne": None}}
        lapsed = {**leased, "leased_until": {"$lt": now}}
        await self._hand_overs.update_many(lapsed, GIVEN_BACK)
        cursor = self._hand_overs.find(leased, {"owner": 1, "leased_until": 1})
        return {found["owner"]: _seconds(found["leased_until"] - now) async for found in cursor}

    @translating
    async def is_prepared(self, rebalance_id: str) -> bool:
        """Whether all orders of a rebalance are stored."""
        wanted = {"_id": rebalance_id, "prepared": True}
        return await self._hand_overs.find_one(wanted, {"_id": 1}) is not None

    @translating
    async def end(self, rebalance_id: str, owner: str) -> None:
        """Give the lease back; of a hand-over that never got its orders nothing stays."""
        mine = {"_id": rebalance_id, "owner": owner}
        await self._hand_overs.delete_one({**mine, "prepared": False})
        await self._hand_overs.update_one(mine, GIVEN_BACK)

    @translating
    async def forget(self, rebalance_id: str, owner: str) -> None:
        """Remove the hand-over."""
        await self._hand_overs.delete_one({"_id": rebalance_id, "owner": owner})

    async def _changed(self, rebalance_id: str, owner: str, fields: Document) -> Document:
        document = await self._hand_overs.find_one_and_update(
            {"_id": rebalance_id, "owner": owner},
            [{"$set": {**fields, "leased_until": self._renewed}}],
            return_document=ReturnDocument.AFTER,
        )
        if document is None:
            await self._raise_in_progress(rebalance_id)
        return document

    async def _raise_in_progress(self, rebalance_id: str) -> NoReturn:
        now = await self._clock()
        stored = await self._hand_overs.find_one({"_id": rebalance_id}) or {}
        raise HandOverInProgressError(rebalance_id, _seconds(stored.get("leased_until", now) - now))

    async def _clock(self) -> datetime:
        """Moment at the database."""
        # Not $$NOW, because SecantusDB knows that in the changes of an update alone.
        database = self._hand_overs.database
        hello = await database.command("hello", codec_options=database.codec_options)
        return hello["localTime"]


def _seconds(left: timedelta) -> int:
    """Whole seconds that are left of a lease, at least one."""
    return max(1, ceil(left.total_seconds()))
