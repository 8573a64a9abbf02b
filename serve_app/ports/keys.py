"""Port of the stored API keys."""

from abc import abstractmethod
from datetime import datetime
from typing import Protocol

from serve_app.ports.port import repeatable
from storage.access.api_key_store import ApiKey


class StoredKeys(Protocol):
    """API keys, found by their public ids."""

    @abstractmethod
    async def add_api_key(self, key: ApiKey) -> None:
        """Store a new key."""
        ...

    @repeatable
    @abstractmethod
    async def find_api_key(self, key_id: str) -> ApiKey | None:
        """Return the key with this id, revoked or not; None if there is none."""
        ...

    @repeatable
    @abstractmethod
    async def list_api_keys(self, offset: int, limit: int) -> tuple[tuple[ApiKey, ...], int]:
        """Return one page of keys, the newest first, and the number of all."""
        ...

    @abstractmethod
    async def rotate_api_key(
        self, key_id: str, secret_hash: bytes, former_expires_at: datetime
    ) -> ApiKey:
        """Give a key another secret; the present one stays valid until the given time."""
        ...

    @abstractmethod
    async def revoke_api_key(self, key_id: str) -> ApiKey:
        """End a key for good; raise NotFoundError if it is unknown or revoked already."""
        ...

    @repeatable
    @abstractmethod
    async def note_api_key_use(self, key_id: str, at: datetime) -> None:
        """Store when a key was used, at most once a minute."""
        ...
