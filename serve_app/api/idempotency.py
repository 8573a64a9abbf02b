"""Idempotency-Key: the same key with the same request gives the same answer."""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar
from uuid import uuid4

from fastapi import Depends, Header, Request

from serve_app.api.dependencies import StorePort
from serve_app.call_context import principal
from serve_app.ports.idempotency import IdempotencyKeys
from storage.errors import StorageUnavailableError
from storage.idempotency_store import IdempotencyClaim

T = TypeVar("T")
REPLAYED = {"Idempotent-Replayed": "true"}
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[!-~]{1,255}$",
        description="a new key per new request; a repeated key returns the first answer",
    ),
]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """Does the work of a request at most once for its key."""

    store: IdempotencyKeys
    key: str | None
    request_hash: str
    owner: str

    @property
    def claim(self) -> IdempotencyClaim | None:
        """The claim that the work settles in one transaction with its results."""
        return None if self.key is None else IdempotencyClaim(self.key, self.owner)

    async def __call__(
        self,
        work: Callable[[], Awaitable[T]],
        reference_of: Callable[[T], str],
        recall: Callable[[str], Awaitable[T]],
    ) -> tuple[T, dict[str, str]]:
        """Return the result of the work and its headers, which mark a replayed result."""
        if self.key is None:
            return await work(), {}
        try:
            reference = await self.store.claim_key(self.key, self.request_hash, self.owner)
        except asyncio.CancelledError:
            await self._release(self.key)
            raise
        if reference is not None:
            return await recall(reference), REPLAYED
        try:
            result = await work()
        except BaseException:
            # The key is released after a hang-up, too, because the retry needs it.
            await self._release(self.key)
            raise
        await asyncio.shield(self._complete(self.key, reference_of(result)))
        return result, {}

    async def _release(self, key: str) -> None:
        await asyncio.shield(self.store.release_key(key, self.owner))

    async def _complete(self, key: str, reference: str) -> None:
        try:
            await self.store.complete_key(key, self.owner, reference)
        except StorageUnavailableError as error:
            # The error is only logged, otherwise the caller would start finished work again.
            logger.warning("idempotency key %r stays claimed: %s", key, error)


async def read_idempotency_key(
    request: Request, store: StorePort, key: Key = None
) -> IdempotentRequest:
    """Read the key of a request, and hash the parts that a repetition must share."""
    how = request.headers.get("Prefer", "")  # in the hash, because it decides the kind of answer
    digest = hashlib.sha256(
        f"{request.method} {request.url.path}?{request.url.query}\n{how}\n".encode()
    )
    if caller := principal.get():  # so that a key never leads to the work of another caller
        digest.update(f"{caller}\n".encode())
    digest.update(await request.body())
    return IdempotentRequest(store, key, digest.hexdigest(), uuid4().hex)


Idempotent = Annotated[IdempotentRequest, Depends(read_idempotency_key)]
