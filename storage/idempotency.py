"""Idempotency keys in MongoDB: the unique insert of a key is the claim to do its work."""

from datetime import UTC, datetime, timedelta
from typing import Final

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from storage.database import Document, translating
from storage.errors import IdempotencyInProgressError, IdempotencyMismatchError

COLLECTION = "idempotency"
LEASE: Final = timedelta(minutes=10)
CLAIMED: Final = "CLAIMED"
DONE: Final = "DONE"


class Idempotency:
    """The keys of requests that start work; they are kept for 24 hours.

    A claim is given up ``lease`` after it was made, for its process may have died: the lease should
    outlast the longest work. Whose it is says ``owner``: one that lost its claim to another can
    neither complete it nor give it back, and a call that is repeated changes nothing.
    """

    def __init__(self, database: AsyncDatabase[Document], lease: timedelta = LEASE) -> None:
        self._keys = database[COLLECTION]
        self._lease = lease

    @translating
    async def claim(self, key: str, request_hash: str, owner: str) -> str | None:
        """None when the work is the owner's to do, else the reference to what it made before."""
        now = datetime.now(UTC)
        claim = {
            "request_hash": request_hash,
            "state": CLAIMED,
            "owner": owner,
            "claimed_at": now,
        }
        try:
            await self._keys.insert_one({"_id": key, **claim, "created_at": now})
        except DuplicateKeyError:
            return await self._repeated(key, request_hash, owner, now)
        return None

    async def _repeated(self, key: str, request_hash: str, owner: str, now: datetime) -> str | None:
        stored = await self._keys.find_one({"_id": key})
        if stored is None:  # given back a moment ago: the next attempt of the client gets it
            raise IdempotencyInProgressError(key)
        if stored["request_hash"] != request_hash:
            raise IdempotencyMismatchError(key)
        if stored["state"] == DONE:
            return stored["reference"]
        if stored.get("owner") == owner:  # the answer to the first call was lost on its way
            return None
        abandoned = {"_id": key, "state": CLAIMED, "claimed_at": {"$lt": now - self._lease}}
        taken = await self._keys.update_one(
            abandoned, {"$set": {"owner": owner, "claimed_at": now}}
        )
        if taken.matched_count == 0:
            raise IdempotencyInProgressError(key)
        return None

    @translating
    async def complete(self, key: str, owner: str, reference: str) -> None:
        """Keep what the owner's work made."""
        done = {"state": DONE, "reference": reference}
        await self._keys.update_one(_held(key, owner), {"$set": done})

    @translating
    async def release(self, key: str, owner: str) -> None:
        """Give the owner's key back after a failure, so that a retry does the work."""
        await self._keys.delete_one(_held(key, owner))


def _held(key: str, owner: str) -> Document:
    return {"_id": key, "state": CLAIMED, "owner": owner}
