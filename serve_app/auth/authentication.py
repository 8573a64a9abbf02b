"""Authentication: the principal of a bearer token."""

import asyncio
import hmac
import logging
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Protocol

from async_lru import alru_cache

from serve_app.auth.api_keys import PREFIX, parse_key
from serve_app.auth.errors import INVALID, AuthenticationError
from serve_app.auth.permissions import derive_scopes
from serve_app.auth.principals import Principal
from serve_app.call_context import lift_deadline
from serve_app.ports.keys import StoredKeys
from storage.access.api_key_store import ApiKey

KEY_TTL_S: Final = 5.0  # a replica accepts a revoked key for at most this long
MAX_CACHED_KEYS: Final = 10_000
USE_NOTED_EVERY_S: Final = 60.0

logger = logging.getLogger(__name__)


class Authenticator(Protocol):
    """Lookup of the principal that a bearer token belongs to."""

    async def authenticate(self, token: str) -> Principal:
        """Return the principal of a token; AuthenticationError if the token is not valid."""
        ...


class KeyOrTokenAuthenticator:
    """Authenticates API keys, which their prefix tells from tokens of an identity provider."""

    def __init__(self, keys: Authenticator, tokens: Authenticator) -> None:
        self._keys = keys
        self._tokens = tokens

    async def authenticate(self, token: str) -> Principal:
        """Return the principal of an API key or token."""
        authenticator = self._keys if token.startswith(PREFIX) else self._tokens
        return await authenticator.authenticate(token)


class ApiKeyAuthenticator:
    """Authenticates API keys, each read from the database at most every 5 s.

    An unknown id and a wrong secret take the same path: the answer, and the calls on the way to it,
    do not tell which ids exist.
    """

    def __init__(
        self,
        keys: StoredKeys,
        *,
        ttl_s: float = KEY_TTL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._find = alru_cache(maxsize=MAX_CACHED_KEYS, ttl=ttl_s)(self._read)
        self._noted: dict[str, float] = {}
        self._notes: set[asyncio.Task[None]] = set()

    async def authenticate(self, token: str) -> Principal:
        """Return the principal of an API key."""
        credentials = parse_key(token)
        if credentials is None:
            raise AuthenticationError(INVALID)
        key = await self._find(credentials.key_id) or UNKNOWN_KEY
        now = datetime.now(UTC)
        secret_hash = credentials.secret_hash
        # Both hashes are always compared, because the time must not tell which ids exist.
        is_present = hmac.compare_digest(secret_hash, key.secret_hash)
        is_former = hmac.compare_digest(secret_hash, key.former_hash or UNKNOWN_KEY.secret_hash)
        is_in_overlap = key.former_expires_at is not None and now < key.former_expires_at
        if not (is_present or (is_former and is_in_overlap)):
            raise AuthenticationError(INVALID)
        return self._use(key, now)

    async def find_principal(self, key_id: str) -> Principal:
        """Return the principal of a key whose secret was checked when its session began."""
        key = await self._find(key_id)
        if key is None:
            raise AuthenticationError(INVALID)
        return self._use(key, datetime.now(UTC))

    def _use(self, key: ApiKey, now: datetime) -> Principal:
        if key.revoked_at is not None:
            raise AuthenticationError("the key is revoked", caller=key.owner)
        if key.expires_at is not None and now >= key.expires_at:
            detail = f"the key expired at {key.expires_at:%Y-%m-%dT%H:%M:%SZ}"
            raise AuthenticationError(detail, caller=key.owner)
        self._note_use(key.key_id, now)
        return build_principal(key)

    async def _read(self, key_id: str) -> ApiKey | None:
        # The deadline of the request is lifted, because other requests wait for the same result.
        with lift_deadline():
            return await self._keys.find_api_key(key_id)

    def _note_use(self, key_id: str, at: datetime) -> None:
        """Store the use of a key in the background, at most once a minute for each replica."""
        now = self._clock()
        if now - self._noted.get(key_id, -USE_NOTED_EVERY_S) < USE_NOTED_EVERY_S:
            return
        self._noted[key_id] = now
        task = asyncio.create_task(self._store_use(key_id, at))
        self._notes.add(task)  # because the event loop alone would not keep the task alive
        task.add_done_callback(self._notes.discard)

    async def _store_use(self, key_id: str, at: datetime) -> None:
        try:
            with lift_deadline():
                await self._keys.note_api_key_use(key_id, at)
        except Exception as error:  # noqa: BLE001 - because no request depends on the note
            logger.warning("the use of key %s is not stored: %s", key_id, error)


def build_principal(key: ApiKey) -> Principal:
    """Return the principal that a key authenticates."""
    return Principal(
        key.owner,
        derive_scopes(key.roles, key.scopes),
        None if key.models is None else frozenset(model_id.lower() for model_id in key.models),
        None if key.portfolios is None else frozenset(key.portfolios),
        approver_level=key.approver_level,
    )


UNKNOWN_KEY: Final = ApiKey(
    key_id="",
    owner="",
    roles=(),
    scopes=(),
    secret_hash=secrets.token_bytes(32),  # which no secret has
    created_at=datetime.now(UTC),
    created_by="",
)
"""Stand-in for a key that is not stored, so that its request is processed like any other."""
