"""Idempotency keys in MongoDB: the lease of a key is the claim to do the key's work."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase

from storage.errors import IdempotencyInProgressError, IdempotencyMismatchError
from storage.mongo.connection import Document, translate_failures
from storage.mongo.leases import Leases, build_holder_filter, is_holder

COLLECTION = "idempotency"
LEASE: Final = timedelta(minutes=10)
CLAIMED: Final = "CLAIMED"
DONE: Final = "DONE"


@dataclass(frozen=True, slots=True)
class IdempotencyClaim:
    """An idempotency key and its owner, until the work under the key is done."""

    key: str
    owner: str


class IdempotencyStore:
    """The keys of requests that start work; a key is kept for 24 hours.

    A claim lapses ``lease`` after it was made, because its process may have died; the lease should
    outlast the longest work. ``owner`` identifies the claimant: an owner that lost the claim can
    neither complete nor release it, and a repeated call changes nothing.

    Work that stores something settles its claim in the same transaction, because otherwise a
    released key could lead to stored work. A run that continues without its caller holds the claim
    until the run ends.
    """

    def __init__(self, database: AsyncDatabase[Document], lease: timedelta = LEASE) -> None:
        self._keys = database[COLLECTION]
        self._leases = Leases(self._keys)
        self._lease_s = lease.total_seconds()

    @translate_failures
    async def claim(self, key: str, request_hash: str, owner: str) -> str | None:
        """Claim the key for the owner: None if the claim succeeds, else the stored reference.

        The reference leads to the work that an earlier request stored under the key.
        """
        request = {"$literal": request_hash}
        new = {"request_hash": request, "state": CLAIMED, "created_at": "$$NOW"}
        # A key that a run holds is not taken over, because this replica or another continues the
        # run.
        is_open = {
            "$and": [
                {"$eq": ["$state", CLAIMED]},
                {"$eq": ["$request_hash", request]},
                {"$eq": [{"$ifNull": ["$run_id", None]}, None]},
            ]
        }
        document = await self._leases.acquire(key, owner, self._lease_s, new, only_if=is_open)
        if document["request_hash"] != request_hash:
            raise IdempotencyMismatchError(key)
        if document["state"] == DONE:
            return document["reference"]
        if not is_holder(document, owner):
            raise IdempotencyInProgressError(key)
        return None

    @translate_failures
    async def complete(self, key: str, owner: str, reference: str) -> None:
        """Store the reference to the result of the owner's work."""
        result = {"state": DONE, "reference": reference}
        await self._keys.update_one(_build_claim_filter(key, owner), {"$set": result})

    @translate_failures
    async def release(self, key: str, owner: str) -> None:
        """Release the owner's key after a failure, so that a retry does the work.

        A key that a run holds stays, because the run may still complete the work.
        """
        await self._keys.delete_one(_build_claim_filter(key, owner) | {"run_id": None})


class ClaimTransactions:
    """Settlement of claims inside the transactions of other collections."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._keys = database[COLLECTION]

    async def complete(
        self, claim: IdempotencyClaim, reference: str, session: AsyncClientSession
    ) -> None:
        """Let the key lead to the stored work; IdempotencyInProgressError if the claim was lost."""
        await self._set(claim, {"state": DONE, "reference": reference}, session)

    async def hold(self, claim: IdempotencyClaim, run_id: str, session: AsyncClientSession) -> None:
        """Let a run hold the claim until the run ends.

        Raises IdempotencyInProgressError if the claim was lost.
        """
        await self._set(claim, {"run_id": run_id}, session)

    async def settle(
        self, key: str, run_id: str, session: AsyncClientSession, *, is_completed: bool
    ) -> None:
        """End the claim that a run holds: the key leads to the run, or is free again."""
        claim = {"_id": key, "state": CLAIMED, "run_id": run_id}
        if is_completed:
            result = {"state": DONE, "reference": run_id}
            await self._keys.update_one(claim, {"$set": result}, session=session)
        else:
            await self._keys.delete_one(claim, session=session)

    async def _set(
        self, claim: IdempotencyClaim, fields: Document, session: AsyncClientSession
    ) -> None:
        key = _build_claim_filter(claim.key, claim.owner)
        result = await self._keys.update_one(key, {"$set": fields}, session=session)
        if result.matched_count == 0:
            raise IdempotencyInProgressError(claim.key)


def _build_claim_filter(key: str, owner: str) -> Document:
    return {**build_holder_filter(key, owner), "state": CLAIMED}
