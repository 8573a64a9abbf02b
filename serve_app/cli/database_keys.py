"""API keys in the database itself, without a service: how an installation gets its first key."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from serve_app.auth.api_keys import KeyText, make_key
from serve_app.auth.key_requests import KeyRequest
from serve_app.client.responses.keys import ApiKey as ShownKey
from serve_app.client.responses.keys import NewApiKey
from serve_app.settings import Settings
from storage.access.api_key_store import ApiKey, ApiKeyStore
from storage.audit.author import Author
from storage.embedded import server
from storage.mongo.connection import connect, disconnect
from storage.schema import ensure_indexes

T = TypeVar("T")
MAX_LISTED_KEYS = 1000
CREATED_BY = "ordergen"


class DatabaseKeys:
    """The keys of the database that the settings name, or of the embedded one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def add(self, request: KeyRequest) -> NewApiKey:
        """Generate and store a key."""
        text, key = request.make(CREATED_BY)
        self._run(lambda store: store.add(key))
        return _build_new_key(key, text)

    def list_keys(self) -> tuple[ShownKey, ...]:
        """List the newest keys."""
        keys, _ = self._run(lambda store: store.read_page(0, MAX_LISTED_KEYS))
        return tuple(ShownKey(**_read_members(key)) for key in keys)

    def rotate(self, key_id: str, overlap_hours: int) -> NewApiKey:
        """Give a key another secret."""
        text, until = make_key(key_id), datetime.now(UTC) + timedelta(hours=overlap_hours)
        return _build_new_key(
            self._run(lambda store: store.rotate(key_id, text.secret_hash, until)), text
        )

    def revoke(self, key_id: str) -> ShownKey:
        """End a key for good."""
        return ShownKey(**_read_members(self._run(lambda store: store.revoke(key_id))))

    def _run(self, work: Callable[[ApiKeyStore], Awaitable[T]]) -> T:
        with self._open_uri() as uri:
            return asyncio.run(self._run_on_database(uri, work))

    async def _run_on_database(self, uri: str, work: Callable[[ApiKeyStore], Awaitable[T]]) -> T:
        settings = self._settings
        database = connect(uri, settings.database_name, settings.database_timeout_ms)
        try:
            await ensure_indexes(database)
            return await work(ApiKeyStore(database, lambda: Author(principal=CREATED_BY)))
        finally:
            await disconnect(database)

    @contextmanager
    def _open_uri(self) -> Generator[str]:
        """Yield the URI of the database; attach to the embedded server, or start it."""
        settings = self._settings
        if settings.mongodb_uri is not None:
            yield settings.mongodb_uri.get_secret_value()
            return
        # A server that starts here ends with this process; the server of a service goes on.
        yield server.start(settings.data_directory, settings.mongod).uri


def _read_members(key: ApiKey) -> dict[str, Any]:
    names = (
        "key_id", "owner", "roles", "scopes", "models", "portfolios", "created_at", "created_by",
        "expires_at", "last_used_at", "revoked_at", "approver_level",
    )  # fmt: skip
    shown = {name: getattr(key, name) for name in names}
    return {**shown, "former_secret_expires_at": key.former_expires_at}


def _build_new_key(key: ApiKey, text: KeyText) -> NewApiKey:
    return NewApiKey(**_read_members(key), key=str(text))
