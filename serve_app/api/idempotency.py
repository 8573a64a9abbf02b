"""Idempotency-Key: the same key and request give the same answer, whatever was done in between."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, Header, Request

from serve_app.api.collaborators import ModelStore, Store

T = TypeVar("T")
REPLAYED = {"Idempotent-Replayed": "true"}
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[!-~]{1,255}$",
        description="a new one for every new request; a repeated one is answered without new work",
    ),
]


@dataclass(frozen=True, slots=True)
class Once:
    """Does the work of a request at most once for its key."""

    store: ModelStore
    key: str | None
    request_hash: str

    async def __call__(
        self,
        work: Callable[[], Awaitable[T]],
        reference_of: Callable[[T], str],
        recall: Callable[[str], Awaitable[T]],
    ) -> tuple[T, dict[str, str]]:
        """What the work made, now or before, and the headers that say which."""
        if self.key is None:
            return await work(), {}
        reference = await self.store.claim(self.key, self.request_hash)
        if reference is not None:
            return await recall(reference), REPLAYED
        try:
            made = await work()
        except BaseException:
            # also when the caller hung up: the key has to be free for the retry
            await asyncio.shield(self.store.release(self.key))
            raise
        await self.store.complete(self.key, reference_of(made))
        return made, {}


async def once(request: Request, store: Store, key: Key = None) -> Once:
    """The key of a request, and what tells the request from another one under the same key."""
    digest = hashlib.sha256(f"{request.method} {request.url.path}\n".encode())
    digest.update(await request.body())
    return Once(store, key, digest.hexdigest())


AtMostOnce = Annotated[Once, Depends(once)]
