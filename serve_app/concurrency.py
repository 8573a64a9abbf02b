"""Bounded concurrency: many calls, a few at a time, and callers that leave."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")


async def for_each(
    items: Iterable[Item], call: Callable[[Item], Awaitable[None]], workers: int
) -> None:
    """Call for every item, ``workers`` at a time; raise the first error, cancel the others."""
    listed = list(items)
    if len(listed) <= 1:  # without a task, which costs more than the call of a known value
        for item in listed:
            await call(item)
        return
    waiting = iter(listed)

    async def worker() -> None:
        for item in waiting:
            await call(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(workers, len(listed))):
                group.create_task(worker())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


def require_caller() -> None:
    """Raise CancelledError if the caller of this task has left.

    For after a call of the database, because its driver may swallow that error.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
