"""Leases: the exclusive right of a process to work on a document until a deadline.

The database's clock alone decides whether a lease has lapsed, because the clocks of replicas
differ. Every write of a holder names its token, because otherwise a holder that lost the lease
without noticing could still change the document.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from math import ceil
from typing import Any, Final

import stamina
from pymongo import ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection

from storage.errors import StorageUnavailableError
from storage.mongo.connection import Document

# Milliseconds since 1970, because SecantusDB finds $$NOW neither before nor after a stored date.
NOW_MS: Final = {"$toLong": "$$NOW"}
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_LAPSED: Final = {"$lt": [{"$toLong": {"$ifNull": ["$lease.until", _EPOCH]}}, NOW_MS]}
FREE: Final = {"$expr": _LAPSED}
"""Filter of documents that nobody holds. MongoDB refuses it in an upsert."""
MAX_TRIES: Final = 3
RELEASE: Final = {"$unset": {"lease": ""}}
SCHEMA: Final = {
    "bsonType": ["object", "null"],
    "required": ["token", "until"],
    "properties": {"token": {"bsonType": "string"}, "until": {"bsonType": "date"}},
}


class Leases:
    """The leases on the documents of one collection, in the field ``lease``: {token, until}.

    A document is free if it has no lease or if its lease has lapsed. A repeated call with the same
    token renews the lease.
    """

    def __init__(self, collection: AsyncCollection[Document]) -> None:
        self._collection = collection

    # The call is retried, because SecantusDB returns nothing to an upsert that lost the race for
    # the insert; MongoDB retries by itself.
    @stamina.retry(on=StorageUnavailableError, attempts=MAX_TRIES, timeout=None, wait_max=0)
    async def acquire(
        self,
        key: object,
        token: str,
        lease_s: float,
        defaults: Mapping[str, Any] | None = None,
        *,
        only_if: Any = True,
        projection: Document | None = None,
        session: AsyncClientSession | None = None,
    ) -> Document:
        """Lease a document if it is free, and return the document for ``is_holder``.

        A missing document is inserted. ``defaults`` are expressions for missing fields, ``only_if``
        is a further condition: an expression over the fields.
        """
        is_mine = {"$eq": ["$lease.token", {"$literal": token}]}
        is_available = {"$and": [{"$or": [_LAPSED, is_mine]}, only_if]}
        fill = {name: {"$ifNull": [f"${name}", value]} for name, value in (defaults or {}).items()}
        # The change holds the condition, because MongoDB refuses a filter with $expr in an upsert.
        take = {"lease": {"$cond": [is_available, _build_lease(token, lease_s), "$lease"]}}
        document = await self._collection.find_one_and_update(
            {"_id": key},
            [*([{"$set": fill}] if fill else []), {"$set": take}],
            projection,
            upsert=True,
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        if document is None:
            raise StorageUnavailableError("the database did not return what it inserted")
        return document

    async def acquire_first(
        self, query: Document, token: str, lease_s: float, projection: Document
    ) -> Document | None:
        """Lease the first free document that matches, in the order of ids; None without a match."""
        return await self._collection.find_one_and_update(
            {**query, **FREE},
            [{"$set": {"lease": _build_lease(token, lease_s)}}],
            projection,
            sort=[("_id", 1)],
            return_document=ReturnDocument.AFTER,
        )

    async def renew(
        self,
        key: object,
        token: str,
        lease_s: float,
        changes: Mapping[str, Any] | None = None,
        projection: Document | None = None,
    ) -> Document | None:
        """Extend a lease and set ``changes``, which are expressions; None if the lease was lost."""
        return await self._collection.find_one_and_update(
            build_holder_filter(key, token),
            [{"$set": {**(changes or {}), "lease": _build_lease(token, lease_s)}}],
            projection,
            return_document=ReturnDocument.AFTER,
        )

    async def release(self, key: object, token: str) -> None:
        """Release a lease, unless it was lost."""
        await self._collection.update_one(build_holder_filter(key, token), RELEASE)

    async def release_lapsed(self, keys: Iterable[object]) -> None:
        """Remove lapsed leases, because otherwise their holders could still renew them."""
        await self._collection.update_many({"_id": {"$in": list(keys)}, **FREE}, RELEASE)

    async def seconds_left(self, keys: Iterable[object]) -> Mapping[str, int]:
        """Return the whole seconds until the leases lapse, at least 1, by token."""
        query = {"_id": {"$in": list(keys)}, "lease": {"$ne": None}}
        rest = {"$subtract": [{"$toLong": "$lease.until"}, NOW_MS]}
        # An aggregation, because SecantusDB does not know $$NOW in the projection of a find.
        pipeline = [{"$match": query}, {"$project": {"token": "$lease.token", "left_ms": rest}}]
        cursor = await self._collection.aggregate(pipeline)
        return {lease["token"]: max(1, ceil(lease["left_ms"] / 1000)) async for lease in cursor}


def build_holder_filter(key: object, token: str) -> Document:
    """Build the filter for a document whose lease belongs to the token."""
    return {"_id": key, "lease.token": token}


def is_holder(document: Document, token: str) -> bool:
    """Whether the lease in the document belongs to the token."""
    lease: Mapping[str, Any] = document.get("lease") or {}
    return lease.get("token") == token


def _build_lease(token: str, lease_s: float) -> Document:
    """Build the expression for a lease that begins now."""
    until = {"$add": ["$$NOW", round(lease_s * 1000)]}
    return {"token": {"$literal": token}, "until": until}
