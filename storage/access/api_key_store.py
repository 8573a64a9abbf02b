"""API keys in MongoDB: found by their public id, stored with hashes of their secrets."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from pymongo import ReturnDocument
from pymongo.asynchronous.database import AsyncDatabase

from storage.audit.author import FindAuthor, find_no_author
from storage.audit.trail import Action, AuditTrail, build_insert_fields, build_update_fields
from storage.errors import NotFoundError
from storage.mongo.connection import Document, translate_failures
from storage.mongo.sorting import DESCENDING

COLLECTION = "api_keys"
ENTITY: Final = "API key"
USE_NOTED_EVERY: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without its secret: owner, rights and time limits.

    ``models`` and ``portfolios`` limit the key to these ids; None is no limit. ``former_hash`` is
    the hash of the secret before a rotation, which is valid until ``former_expires_at``.
    ``approver_level`` is 1 to 3.
    """

    key_id: str
    owner: str
    roles: tuple[str, ...]
    scopes: tuple[str, ...]
    secret_hash: bytes = field(repr=False)
    created_at: datetime
    created_by: str
    models: tuple[str, ...] | None = None
    portfolios: tuple[str, ...] | None = None
    expires_at: datetime | None = None
    former_hash: bytes | None = field(default=None, repr=False)
    former_expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    approver_level: int = 1


class ApiKeyStore:
    """The API keys of one database; a revoked key stays, so that its id still names its owner.

    Every change is recorded for the audit log in the same write, without secrets and their hashes.
    """

    def __init__(
        self, database: AsyncDatabase[Document], find_author: FindAuthor = find_no_author
    ) -> None:
        self._keys = database[COLLECTION]
        self._trail = AuditTrail(database, find_author)

    @translate_failures
    async def add(self, key: ApiKey) -> None:
        """Store a new key."""
        record = self._trail.record(Action.KEY_CREATED, key.key_id, diff=_describe_rights(key))
        await self._keys.insert_one({**encode_api_key(key), **build_insert_fields(record)})

    @translate_failures
    async def find(self, key_id: str) -> ApiKey | None:
        """Return the key with this id, revoked or not; None if no key has the id."""
        document = await self._keys.find_one({"_id": key_id})
        return None if document is None else _decode_api_key(document)

    @translate_failures
    async def read_page(self, offset: int, limit: int) -> tuple[tuple[ApiKey, ...], int]:
        """Return a page of keys, the newest first, and the number of keys."""
        total = await self._keys.count_documents({}, hint="_id_")
        order = [("created_at", DESCENDING), ("_id", DESCENDING)]
        cursor = self._keys.find(sort=order, skip=offset, limit=limit)
        return tuple([_decode_api_key(document) async for document in cursor]), total

    @translate_failures
    async def rotate(self, key_id: str, secret_hash: bytes, former_expires_at: datetime) -> ApiKey:
        """Give a key another secret; its present secret stays valid until the given time.

        Raises NotFoundError if the key is unknown or revoked.
        """
        change = {
            "former_hash": "$secret_hash",
            "former_expires_at": former_expires_at,
            "secret_hash": secret_hash,
        }
        diff = {"former_expires_at": former_expires_at}
        record = self._trail.record(Action.KEY_ROTATED, key_id, diff=diff)
        return await self._change(key_id, [{"$set": {**change, **build_update_fields(record)}}])

    @translate_failures
    async def revoke(self, key_id: str) -> ApiKey:
        """Revoke a key; NotFoundError if the key is unknown or revoked already."""
        record = self._trail.record(Action.KEY_REVOKED, key_id)
        change = {"revoked_at": "$$NOW", **build_update_fields(record)}
        return await self._change(key_id, [{"$set": change}])

    @translate_failures
    async def note_use(self, key_id: str, at: datetime) -> None:
        """Store the time of a use, unless a use less than a minute earlier is stored."""
        earlier = {"$lt": at - USE_NOTED_EVERY}
        stale = [{"last_used_at": None}, {"last_used_at": earlier}]
        await self._keys.update_one({"_id": key_id, "$or": stale}, {"$set": {"last_used_at": at}})

    async def _change(self, key_id: str, change: Sequence[Document]) -> ApiKey:
        document = await self._keys.find_one_and_update(
            {"_id": key_id, "revoked_at": None}, change, return_document=ReturnDocument.AFTER
        )
        if document is None:
            raise NotFoundError(ENTITY, key_id)
        return _decode_api_key(document)


def encode_api_key(key: ApiKey) -> Document:
    """Return the document of a key, without its absent members."""
    members: Document = {
        "_id": key.key_id,
        "owner": key.owner,
        "roles": list(key.roles),
        "scopes": list(key.scopes),
        "secret_hash": key.secret_hash,
        "created_at": key.created_at,
        "created_by": key.created_by,
        "models": None if key.models is None else list(key.models),
        "portfolios": None if key.portfolios is None else list(key.portfolios),
        "expires_at": key.expires_at,
        "former_hash": key.former_hash,
        "former_expires_at": key.former_expires_at,
        "last_used_at": key.last_used_at,
        "revoked_at": key.revoked_at,
        "approver_level": key.approver_level,
    }
    return {name: value for name, value in members.items() if value is not None}


def _describe_rights(key: ApiKey) -> Document:
    """Describe the rights of a new key for the audit log, with the numbers of ids in its limits."""
    limits = {"models": key.models, "portfolios": key.portfolios}
    return {
        "owner": key.owner,
        "roles": list(key.roles),
        "scopes": list(key.scopes),
        **{name: None if ids is None else len(ids) for name, ids in limits.items()},
        "expires_at": key.expires_at,
        "approver_level": key.approver_level,
    }


def _decode_api_key(document: Document) -> ApiKey:
    models, portfolios = document.get("models"), document.get("portfolios")
    return ApiKey(
        key_id=document["_id"],
        owner=document["owner"],
        roles=tuple(document["roles"]),
        scopes=tuple(document["scopes"]),
        secret_hash=document["secret_hash"],
        created_at=document["created_at"],
        created_by=document["created_by"],
        models=None if models is None else tuple(models),
        portfolios=None if portfolios is None else tuple(portfolios),
        expires_at=document.get("expires_at"),
        former_hash=document.get("former_hash"),
        former_expires_at=document.get("former_expires_at"),
        last_used_at=document.get("last_used_at"),
        revoked_at=document.get("revoked_at"),
        approver_level=document.get("approver_level", 1),
    )
