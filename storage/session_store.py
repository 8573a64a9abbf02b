"""Sessions of people who signed in with a browser, found by the hash of their secret."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pymongo.asynchronous.database import AsyncDatabase

from storage.mongo.connection import Document, translate_failures

COLLECTION: Final = "sessions"


@dataclass(frozen=True, slots=True)
class Session:
    """A session: who signed in, with which rights, until when.

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
    """The sessions of one database; the database itself removes those that expired."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._sessions = database[COLLECTION]

    @translate_failures
    async def put(self, session: Session) -> None:
        """Store a session; storing it again changes nothing."""
        document = _document_of(session)
        await self._sessions.replace_one({"_id": session.session_id}, document, upsert=True)

    @translate_failures
    async def find(self, session_id: str) -> Session | None:
        """Return the session with this id; None if there is none, or if it expired."""
        # By the time too, because the database removes expired sessions once a minute.
        unexpired = {"_id": session_id, "expires_at": {"$gt": datetime.now(UTC)}}
        document = await self._sessions.find_one(unexpired)
        return None if document is None else _session_from(document)

    @translate_failures
    async def remove(self, session_id: str) -> None:
        """End a session; one that has ended stays ended."""
        await self._sessions.delete_one({"_id": session_id})


def _document_of(session: Session) -> Document:
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


def _session_from(document: Document) -> Session:
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
