"""Sessions of people who signed in with a browser, found by the hash of their secret.

The audit log has an entry for each sign-in and each sign-out.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from storage.audit.author import FindAuthor, find_no_author
from storage.audit.trail import Action, AuditTrail
from storage.mongo.connection import Document, read_clock, run_transaction, translate_failures

COLLECTION: Final = "sessions"
SHOWN_DIGITS: Final = 16
"""Digits of the session id in an entry, because an entry need not find the session."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session of a principal, with rights and an end.

    ``session_id`` is the SHA-256 of the secret in the cookie, in hexadecimal digits. A session of
    an API key names the key, whose present rights count in place of ``scopes`` and the limits.
    """

    session_id: str
    name: str
    display_name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime
    models: tuple[str, ...] | None = None
    portfolios: tuple[str, ...] | None = None
    approver_level: int = 1
    key_id: str | None = None


class SessionStore:
    """The sessions of one database, which itself removes expired sessions."""

    def __init__(
        self, database: AsyncDatabase[Document], find_author: FindAuthor = find_no_author
    ) -> None:
        self._database = database
        self._sessions = database[COLLECTION]
        self._trail = AuditTrail(database, find_author)

    @translate_failures
    async def put(self, session: Session) -> None:
        """Store a session; a repeated call changes nothing."""
        document = _encode_session(session)
        at, record = await read_clock(self._database), self._record(Action.SIGNED_IN, document)

        async def insert(transaction: AsyncClientSession) -> None:
            await self._sessions.insert_one(document, session=transaction)
            await self._trail.append(transaction, at, record)

        try:
            await run_transaction(self._database, insert)
        except DuplicateKeyError:
            return  # because the call was repeated after its answer was lost

    @translate_failures
    async def find(self, session_id: str) -> Session | None:
        """Return the session with this id; None if no session has the id, or if it expired."""
        # The query has the end, too, because the database removes sessions only once a minute.
        key = {"_id": session_id, "expires_at": {"$gt": datetime.now(UTC)}}
        document = await self._sessions.find_one(key)
        return None if document is None else _decode_session(document)

    @translate_failures
    async def remove(self, session_id: str) -> None:
        """End a session; a repeated call changes nothing."""
        at = await read_clock(self._database)

        async def delete(transaction: AsyncClientSession) -> None:
            key = {"_id": session_id}
            document = await self._sessions.find_one_and_delete(key, session=transaction)
            if document is not None:
                record = self._record(Action.SIGNED_OUT, document)
                await self._trail.append(transaction, at, record)

        await run_transaction(self._database, delete)

    def _record(self, action: Action, document: Document) -> Document:
        """Make a record whose principal is the owner of the session, not the caller."""
        facts = {"signed_in_with": "provider" if "key_id" not in document else "key"}
        if "key_id" in document:
            facts["key_id"] = document["key_id"]
        record = self._trail.record(action, document["_id"][:SHOWN_DIGITS], diff=facts)
        return {**record, "principal": document["name"]}


def _encode_session(session: Session) -> Document:
    members: Document = {
        "_id": session.session_id,
        "name": session.name,
        "display_name": session.display_name,
        "scopes": list(session.scopes),
        "created_at": session.created_at,
        "expires_at": session.expires_at,
        "models": None if session.models is None else list(session.models),
        "portfolios": None if session.portfolios is None else list(session.portfolios),
        "approver_level": session.approver_level,
        "key_id": session.key_id,
    }
    return {name: value for name, value in members.items() if value is not None}


def _decode_session(document: Document) -> Session:
    models, portfolios = document.get("models"), document.get("portfolios")
    return Session(
        session_id=document["_id"],
        name=document["name"],
        display_name=document["display_name"],
        scopes=tuple(document["scopes"]),
        created_at=document["created_at"],
        expires_at=document["expires_at"],
        models=None if models is None else tuple(models),
        portfolios=None if portfolios is None else tuple(portfolios),
        approver_level=document["approver_level"],
        key_id=document.get("key_id"),
    )
