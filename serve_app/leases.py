"""Leases of background work, which goes on while its lease is renewed and ends with the lease."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, TypeVar

from serve_app.concurrency import work_while_held
from serve_app.retries import retry_while_unavailable
from storage.errors import LeaseLostError, StorageUnavailableError

RENEWALS_PER_LEASE: Final = 5
Renewal = TypeVar("Renewal")


async def hold_lease(
    key: str,
    lease_s: float,
    renew: Callable[[], Awaitable[Renewal]],
    work: Coroutine[Any, Any, None],
    *,
    obey: Callable[[Renewal], None] = lambda _: None,
    renew_now: asyncio.Event | None = None,
) -> None:
    """Run ``work`` while ``renew`` keeps the lease of ``key``, and cancel the work without it.

    The caller holds a new lease of ``lease_s``. ``renew`` extends the lease by the clock of the
    database and is repeated while the database is away, until the lease may have lapsed. Each
    answer of ``renew`` goes to ``obey``. ``renew_now`` makes the next renewal happen at once.

    Raises LeaseLostError if another process may hold the lease, and the error of the work.
    """
    hold = _renew_for_ever(key, lease_s, renew, obey, renew_now or asyncio.Event())
    await work_while_held(hold, work)


async def _renew_for_ever(
    key: str,
    lease_s: float,
    renew: Callable[[], Awaitable[Renewal]],
    obey: Callable[[Renewal], None],
    renew_now: asyncio.Event,
) -> None:
    async def renew_once() -> tuple[Renewal, float]:
        # The lease is counted from before the call, because the database may have renewed it long
        # before the answer arrives.
        until = time.monotonic() + lease_s
        return await renew(), until

    until = time.monotonic() + lease_s
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(lease_s / RENEWALS_PER_LEASE):
                await renew_now.wait()
        renew_now.clear()
        try:
            renewal, until = await retry_while_unavailable(renew_once, until - time.monotonic())
        except StorageUnavailableError:
            raise LeaseLostError(key) from None
        obey(renewal)
