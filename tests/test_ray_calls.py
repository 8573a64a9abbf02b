"""Tasks in bounded parallel: order, slices, shares of the time that is left, the first error."""

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from ray.exceptions import RayTaskError

from serve_app.call_context import sendable_s, set_deadline
from serve_app.ports.errors import ReplicaLostError
from serve_app.ray_calls import StoredText, fan_out, find_cause

ITEMS = tuple(range(7))


def task_of(call: Any) -> Any:
    """Make a task as ``fan_out`` sees it: an awaitable."""
    return asyncio.ensure_future(call)


async def test_results_come_in_the_order_of_the_items_whichever_task_ends_first() -> None:
    slices = dict[int, Sequence[int]]()

    async def double(first: int, part: Sequence[int]) -> list[int]:
        for _ in range(10 - first):
            await asyncio.sleep(0)
        return [2 * item for item in part]

    def submit(first: int, part: Sequence[int]) -> Any:
        assert sendable_s() is None
        slices[first] = part
        return task_of(double(first, part))

    assert await fan_out(ITEMS, 3, submit, 3) == (0, 2, 4, 6, 8, 10, 12)
    assert slices == {0: (0, 1, 2), 3: (3, 4, 5), 6: (6,)}


async def test_no_more_tasks_than_asked_for_go_on_at_a_time_and_they_share_the_deadline() -> None:
    under_way, most, seconds = set[int](), 0, list[float]()

    async def work(first: int) -> list[int]:
        nonlocal most
        most = max(most, len(under_way))
        await asyncio.sleep(0)
        under_way.discard(first)
        return [first]

    def submit(first: int, _: Sequence[int]) -> Any:
        within_s = sendable_s()
        assert within_s is not None
        under_way.add(first)
        seconds.append(within_s)
        return task_of(work(first))

    with set_deadline(80.0):
        assert await fan_out(ITEMS, 1, submit, 2) == ITEMS
    assert most == 2
    assert 19.0 < seconds[0] <= 20.0  # four rounds


async def test_the_error_of_a_task_arrives_as_itself() -> None:
    async def broken() -> list[int]:
        raise RayTaskError("task", "traceback", LookupError("7"))

    with pytest.raises(LookupError, match="7"):
        await fan_out(ITEMS, 10, lambda *_: task_of(broken()), 2)


def test_an_error_without_a_cause_is_its_own() -> None:
    for error in (RayTaskError("task", "traceback", None), LookupError("7")):
        assert find_cause(error) is error


async def test_a_text_of_another_size_than_its_task_reported_counts_as_lost() -> None:
    async def array(text: bytes) -> Any:
        return np.frombuffer(text, np.uint8)

    assert bytes(await StoredText(task_of(array(b"[]")), 2).read()) == b"[]"
    with pytest.raises(ReplicaLostError, match="Optimizer"):
        await StoredText(task_of(array(b"")), 2).read()
