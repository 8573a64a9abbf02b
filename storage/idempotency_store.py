"""Idempotency keys in MongoDB: the lease of a key is the claim to do its work."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase

from storage.errors import IdempotencyInProgressError, IdempotencyMismatchError
from storage.mongo.connection import Document, translating
from storage.mongo.leases import Leases, held_by, is_holder

COLLECTION = "idempotency"
LEASE: Final = timedelta(minutes=10)
CLAIMED: Final = "CLAIMED"
DONE: Final = "DONE"


@dataclass(frozen=True, slots=True)
class IdempotencyClaim:
    """A key, and whose it is until the work under it is done."""

    key: str
    owner: str


class IdempotencyStore:
    """The keys of requests that start work; they are kept for 24 hours.

    A claim is given up ``lease`` after it was made, for its process may have died: the lease should
    outlast the longest work. Whose it is says ``owner``: one that lost its claim to another can
    neither complete it nor give it back, and a call that is repeated changes nothing.

    Work that stores something settles its claim in the transaction that stores it, so that a key that
    was given back leads to nothing. A run that goes on without its caller holds the claim until it ends.
    """

    def __init__(self, database: AsyncDatabase[Document], lease: timedelta = LEASE) -> None:
        self._keys = database[COLLECTION]
        self._leases = Leases(self._keys)
        self._lease_s = lease.total_seconds()

    @translating
    async def claim(self, key: str, request_hash: str, owner: str) -> str | None:
        """None when the work is the owner's to do, else the reference to what it made before."""
        asked = {"$literal": request_hash}
        new = {"request_hash": asked, "state": CLAIMED, "created_at": "$$NOW"}
        # A key that a run holds is not taken over: the run goes on, or another replica continues it.
        is_open = {
            "$and": [
                {"$eq": ["$state", CLAIMED]},
                {"$eq": ["$request_hash", asked]},
                {"$eq": [{"$ifNull": ["$run_id", None]}, None]},
            ]
        }
        stored = await self._leases.acquire(key, owner, self._lease_s, new, only_if=is_open)
        if stored["request_hash"] != request_hash:
            raise IdempotencyMismatchError(key)
        if stored["state"] == DONE:
            return stored["reference"]
        if not is_holder(stored, owner):
            raise IdempotencyInProgressError(key)
        return None

    @translating
    async def complete(self, key: str, owner: str, reference: str) -> None:
        """Keep what the owner's work made."""
        done = {"state": DONE, "reference": reference}
        await self._keys.update_one(_held(key, owner), {"$set": done})

    @translating
    async def release(self, key: str, owner: str) -> None:
        """Give the owner's key back after a failure, so that a retry does the work.

        A key that a run holds stays: the run may still complete what is asked for again.
        """
        await self._keys.delete_one(_held(key, owner) | {"run_id": None})


class ClaimTransactions:
    """Claims as transactions of other collections settle them."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._keys = database[COLLECTION]

    async def complete(
        self, claim: IdempotencyClaim, reference: str, session: AsyncClientSession
    ) -> None:
        """Let the key answer what is stored; raises IdempotencyInProgressError if the claim was lost."""
        await self._set(claim, {"state": DONE, "reference": reference}, session)

    async def hold(self, claim: IdempotencyClaim, run_id: str, session: AsyncClientSession) -> None:
        """Let a run hold the claim until it ends; raises IdempotencyInProgressError if it was lost."""
        await self._set(claim, {"run_id": run_id}, session)

    async def settle(
        self, key: str, run_id: str, session: AsyncClientSession, *, is_completed: bool
    ) -> None:
        """End the claim that a run holds: the key answers with the run, or is free again."""
        held = {"_id": key, "state": CLAIMED, "run_id": run_id}
        if is_completed:
            done = {"state": DONE, "reference": run_id}
            await self._keys.update_one(held, {"$set": done}, session=session)
        else:
            await self._keys.delete_one(held, session=session)

    async def _set(
        self, claim: IdempotencyClaim, fields: Document, session: AsyncClientSession
    ) -> None:
        held = _held(claim.key, claim.owner)
        written = await self._keys.update_one(held, {"$set": fields}, session=session)
        if written.matched_count == 0:
            raise IdempotencyInProgressError(claim.key)


def _held(key: str, owner: str) -> Document:
    return {**held_by(key, owner), "state": CLAIMED}
