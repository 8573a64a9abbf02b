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


async def wait_for_first(going: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    """Wait until a task ends and raise its error; return the tasks that still run."""
    done, going = await asyncio.wait(going, return_when=asyncio.FIRST_COMPLETED)
    for one in done:
        one.result()
    return going


def require_caller() -> None:
    """Raise CancelledError if the caller of this task has left.

    For after a call of the database, because its driver may swallow that error.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
