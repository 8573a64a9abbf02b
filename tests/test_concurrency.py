"""Many calls with bounded concurrency, and no more tasks than calls."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from serve_app.concurrency import for_each, for_each_in_window, work_while_held


class CallError(Exception):
    """Failure of a call."""


async def count_tasks(items: int, workers: int) -> int:
    """Count the tasks that are there while the calls wait for each other."""
    counted: list[int] = []

    async def call(_: int) -> None:
        await asyncio.sleep(0)
        counted.append(len(asyncio.all_tasks()))

    before = len(asyncio.all_tasks())
    await for_each(range(items), call, workers)
    assert len(counted) == items
    return max(counted, default=before) - before


@pytest.mark.parametrize(
    ("items", "workers", "tasks"), [(0, 16, 0), (1, 16, 0), (2, 16, 2), (9, 3, 3)]
)
async def test_there_are_no_more_tasks_than_calls(items: int, workers: int, tasks: int) -> None:
    assert await count_tasks(items, workers) == tasks


@pytest.mark.parametrize("items", [1, 2, 9])
async def test_the_first_error_is_raised_as_itself(items: int) -> None:
    async def fail(item: int) -> None:
        raise CallError(item)

    with pytest.raises(CallError) as caught:
        await for_each(range(items), fail, 4)

    assert caught.value.args == (0,)


async def test_a_cancelled_caller_ends_a_single_call() -> None:
    end = asyncio.Event()

    async def wait(_: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            end.set()

    caller = asyncio.create_task(for_each([1], wait, 4))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller

    assert end.is_set()


async def stream(count: int) -> AsyncIterator[int]:
    for item in range(count):
        yield item


async def test_no_more_calls_of_a_stream_go_on_than_the_window_admits() -> None:
    running, most, items = 0, 0, list[int]()

    async def call(item: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        items.append(item)

    await for_each_in_window(stream(9), call, window=lambda: 3)

    assert (most, sorted(items)) == (3, [*range(9)])


async def test_the_first_error_of_a_stream_ends_the_other_calls() -> None:
    items = list[int]()

    async def call(item: int) -> None:
        if item == 2:
            raise CallError(item)
        try:
            await asyncio.Event().wait()
        finally:
            items.append(item)

    with pytest.raises(CallError):
        await for_each_in_window(stream(3), call, window=lambda: 3)

    assert sorted(items) == [0, 1]


async def test_a_hold_that_is_lost_ends_the_work() -> None:
    end = asyncio.Event()

    async def hold() -> None:
        await asyncio.sleep(0)
        raise CallError("lost")

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            end.set()

    with pytest.raises(CallError, match="lost"):
        await work_while_held(hold(), work())

    assert end.is_set()
