"""Calls of Ray tasks that end with their caller."""

import asyncio
import math
from contextlib import suppress
from typing import TypeVar, cast

import ray
from ray import ObjectRef
from ray.exceptions import RayError, RayTaskError

from serve_app.deadline import remaining_s
from serve_app.settings import Settings

T = TypeVar("T")
ENDS_WITHIN_S = 10.0  # a task that was cancelled


def tasks_at_a_time(settings: Settings) -> int:
    """How many tasks of one call go on beside each other.

    Where there is a deadline no more than the cluster has processors for, because a task that waits for
    one does not know how much of its time goes by.
    """
    if math.isinf(remaining_s()):
        return settings.run_window
    return max(1, min(settings.run_window, int(ray.cluster_resources().get("CPU", 1))))


async def result_of(task: ObjectRef[T], *, is_awaited: bool = False) -> T:
    """The result of a task; its error as itself. The task is cancelled with its caller.

    With ``is_awaited`` a cancelled caller goes on only when the task has ended.
    """
    try:
        return await task
    except RayTaskError as error:
        raise cast("Exception", error.cause) from None
    except asyncio.CancelledError:
        ray.cancel(task, force=False)
        if is_awaited:
            with suppress(RayError, TimeoutError):
                async with asyncio.timeout(ENDS_WITHIN_S):
                    await task
        raise
