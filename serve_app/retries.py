"""Retries of calls to the database, and pauses between attempts."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, TypeVar

import stamina

from storage.errors import StorageUnavailableError

logger = logging.getLogger(__name__)

PAUSE_S: Final = 0.5
R = TypeVar("R")


async def retry_while_unavailable(
    call: Callable[[], Awaitable[R]], within_s: float | None = None
) -> R:
    """Repeat the call until the database answers, for ``within_s`` or until cancelled.

    The call has to be idempotent, because an attempt may have succeeded and lost its answer.
    """
    async for attempt in stamina.retry_context(
        StorageUnavailableError,
        attempts=None,
        timeout=within_s,
        wait_initial=PAUSE_S,
        wait_max=PAUSE_S,
        wait_jitter=0,
    ):
        with attempt:
            return await call()
    raise AssertionError


def doubling_pauses(first_s: float, longest_s: float) -> Iterator[float]:
    """Yield pauses, each twice as long as the one before, up to the longest."""
    pause_s = first_s
    while True:
        yield pause_s
        pause_s = min(2 * pause_s, longest_s)


async def repeat_for_ever(call: Callable[[], Awaitable[None]], every_s: float, what: str) -> None:
    """Repeat background work; log an error under the name ``what``."""
    while True:
        try:
            await call()
        except StorageUnavailableError:
            logger.warning("%s: database unavailable, retrying", what)
        except Exception:
            logger.exception("%s failed, retrying", what)
        await asyncio.sleep(every_s)
