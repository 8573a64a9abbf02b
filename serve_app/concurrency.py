"""Bounded concurrency: many calls, a few at a time."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

Item = TypeVar("Item")


async def for_each(
    items: Iterable[Item], call: Callable[[Item], Awaitable[None]], workers: int
) -> None:
    """Call for every item, ``workers`` at a time; raise the first error, cancel the others."""
    item_list = list(items)
    if len(item_list) <= 1:  # because a task costs more than the call of a known value
        for item in item_list:
            await call(item)
        return
    remaining_items = iter(item_list)

    async def worker() -> None:
        for item in remaining_items:
            await call(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(workers, len(item_list))):
                group.create_task(worker())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def for_each_in_window(
    items: AsyncIterable[Item],
    call: Callable[[Item], Coroutine[Any, Any, None]],
    window: Callable[[], int],
    is_over: Callable[[], bool] = lambda: False,
) -> None:
    """Call for every item as it comes, at most ``window()`` at a time; the first error cancels all.

    Once ``is_over()``, no other call begins.
    """
    running: set[asyncio.Task[None]] = set()
    try:
        async for item in items:
            while len(running) >= window():
                running = await _wait_for_first(running)
            if is_over():
                break
            running.add(asyncio.create_task(call(item)))
        while running:
            running = await _wait_for_first(running)
    finally:
        await _end(running)


async def _wait_for_first(running: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    """Wait until a task ends and raise its error; return the tasks that still run."""
    ended_tasks, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    for task in ended_tasks:
        task.result()
    return running


async def work_while_held(hold: Coroutine[Any, Any, None], work: Coroutine[Any, Any, None]) -> None:
    """Run ``work`` while ``hold`` keeps a lease; if ``hold`` fails, cancel and raise its error."""
    hold_task, work_task = asyncio.create_task(hold), asyncio.create_task(work)
    try:
        await asyncio.wait((hold_task, work_task), return_when=asyncio.FIRST_COMPLETED)
        if hold_task.done():
            hold_task.result()
        work_task.result()
    finally:
        await _end((hold_task, work_task))


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    task_list = list(tasks)
    for task in task_list:
        task.cancel()
    await asyncio.gather(*task_list, return_exceptions=True)
