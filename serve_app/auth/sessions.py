"""Sessions: a browser signs in once, and sends a cookie in place of its credentials.

The cookie is a secret of 256 random bits, of which the database has the hash. So every replica
knows a session, and signing out ends it for everybody who has a copy of the cookie.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from async_lru import alru_cache

from serve_app.auth.errors import INVALID, AuthenticationError
from serve_app.auth.permissions import derive_scopes
from serve_app.auth.principals import Principal
from serve_app.call_context import lift_deadline
from serve_app.ports.sessions import StoredSessions
from storage.access.session_store import Session

SECRET_BYTES: Final = 32
SECRET: Final = re.compile(r"[A-Za-z0-9_-]{43}")
SESSION_TTL_S: Final = 5.0  # another replica accepts an ended session for at most this long
MAX_CACHED_SESSIONS: Final = 10_000


class KeyRights(Protocol):
    """Lookup of the present rights of an API key."""

    async def find_principal(self, key_id: str) -> Principal:
        """Return the principal of a key; AuthenticationError if it is revoked or expired."""
        ...


@dataclass(frozen=True, slots=True)
class ActiveSession:
    """A session that has not ended, and the rights that it gives now."""

    principal: Principal
    expires_at: datetime


class Sessions:
    """Begins, finds and ends sessions; each is read from the database at most every 5 s."""

    def __init__(
        self,
        stored: StoredSessions,
        keys: KeyRights | None,
        lifetime: timedelta,
        *,
        ttl_s: float = SESSION_TTL_S,
    ) -> None:
        self._stored = stored
        self._keys = keys
        self._lifetime = lifetime
        self._find = alru_cache(maxsize=MAX_CACHED_SESSIONS, ttl=ttl_s)(self._read)

    async def begin(self, principal: Principal, key_id: str | None = None) -> tuple[str, datetime]:
        """Begin a session of this caller; return its secret and its end."""
        secret, now = secrets.token_urlsafe(SECRET_BYTES), datetime.now(UTC)
        session = Session(
            session_id=_derive_id(secret),
            name=principal.name,
            display_name=principal.display_name,
            scopes=tuple(sorted(principal.scopes)),
            created_at=now,
            expires_at=now + self._lifetime,
            models=_list_ids(principal.models),
            portfolios=_list_ids(principal.portfolios),
            approver_level=principal.approver_level,
            key_id=key_id,
        )
        await self._stored.put_session(session)
        return secret, session.expires_at

    async def find(self, secret: str) -> ActiveSession:
        """Return the session with this secret; AuthenticationError if it has ended."""
        session = await self._find(_derive_id(secret)) if SECRET.fullmatch(secret) else None
        if session is None or session.expires_at <= datetime.now(UTC):
            raise AuthenticationError(INVALID)
        return ActiveSession(await self._find_principal(session), session.expires_at)

    async def end(self, secret: str) -> None:
        """End the session with this secret, if there is one."""
        if SECRET.fullmatch(secret):
            await self._stored.remove_session(_derive_id(secret))
            self._find.cache_invalidate(_derive_id(secret))

    async def _read(self, session_id: str) -> Session | None:
        # The deadline of the request is lifted, because other requests wait for the same result.
        with lift_deadline():
            return await self._stored.find_session(session_id)

    async def _find_principal(self, session: Session) -> Principal:
        if session.key_id is not None:
            if self._keys is None:
                raise AuthenticationError(INVALID)  # the service takes no keys any more
            return await self._keys.find_principal(session.key_id)
        return Principal(
            session.name,
            derive_scopes((), session.scopes),
            None if session.models is None else frozenset(session.models),
            None if session.portfolios is None else frozenset(session.portfolios),
            session.display_name,
            session.approver_level,
        )


def _derive_id(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _list_ids(ids: frozenset[str] | None) -> tuple[str, ...] | None:
    return None if ids is None else tuple(sorted(ids))
