"""Port of the stored sessions."""

from abc import abstractmethod
from typing import Protocol

from serve_app.ports.port import repeatable
from storage.access.session_store import Session


class StoredSessions(Protocol):
    """Sessions of browsers, found by the hash of their secret."""

    @repeatable
    @abstractmethod
    async def put_session(self, session: Session) -> None:
        """Store a session."""
        ...

    @repeatable
    @abstractmethod
    async def find_session(self, session_id: str) -> Session | None:
        """Return the session with this id; None if there is none, or if it expired."""
        ...

    @repeatable
    @abstractmethod
    async def remove_session(self, session_id: str) -> None:
        """End a session."""
        ...
