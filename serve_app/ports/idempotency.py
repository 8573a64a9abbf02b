"""Port of the idempotency keys."""

from abc import abstractmethod
from typing import Protocol

from serve_app.ports.port import repeatable


class IdempotencyKeys(Protocol):
    """Keys of requests that start work; every call names its owner, so that it may be repeated."""

    @repeatable
    @abstractmethod
    async def claim_key(self, key: str, request_hash: str, owner: str) -> str | None:
        """Claim a key: None if the work is the owner's to do, else the reference of the first work.

        Raise IdempotencyMismatchError for the key of another request, IdempotencyInProgressError
        while the first request is at work.
        """
        ...

    @repeatable
    @abstractmethod
    async def complete_key(self, key: str, owner: str, reference: str) -> None:
        """Store the id of what the work made, unless another owner has the claim."""
        ...

    @repeatable
    @abstractmethod
    async def release_key(self, key: str, owner: str) -> None:
        """Return the key after a failure, so that a retry does the work.

        The key of work that continues without its caller stays until the work settles it.
        """
        ...
