"""Port of the idempotency keys."""

from abc import abstractmethod
from typing import Protocol

from serve_app.ports.port import repeatable


class IdempotencyKeys(Protocol):
    """Keys of requests that start work; every call names its owner, so that it may be repeated."""

    @repeatable
    @abstractmethod
    async def claim_key(self, key: str, request_hash: str, owner: str) -> str | None:
        """Claim a key; return None if the owner is to do the work, else the first work's reference.

        Raise IdempotencyMismatchError for the key of another request, and
        IdempotencyInProgressError while the first request is in progress.
        """
        ...

    @repeatable
    @abstractmethod
    async def complete_key(self, key: str, owner: str, reference: str) -> None:
        """Store the id of the result as the key's reference, unless another owner has the claim."""
        ...

    @repeatable
    @abstractmethod
    async def release_key(self, key: str, owner: str) -> None:
        """Release the key after a failure, so that a retry does the work.

        The key of work that continues without its caller stays until the work settles it.
        """
        ...
