"""Calls of Ray tasks: errors arrive as themselves, and tasks end with their caller."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

import numpy as np
import ray
from numpy.typing import NDArray
from ray import ObjectRef
from ray.exceptions import RayError, RayTaskError

from optimization import load_solver
from serve_app.call_context import CallContext, TimeSplit, remaining_s, set_deadline
from serve_app.concurrency import for_each
from serve_app.observability.logs import correlate_logs
from serve_app.ports.errors import ReplicaLostError
from serve_app.settings import Settings

T = TypeVar("T")
Item = TypeVar("Item")
ENDS_WITHIN_S = 10.0  # bound of the wait for a cancelled task


async def count_parallel_tasks(settings: Settings) -> int:
    """Return the limit of parallel tasks of one call.

    With a deadline the limit is at most one task for each processor of the cluster, because a task
    that waits for a processor does not see its time go by.
    """
    if math.isinf(remaining_s()):
        return settings.run_window
    # The call runs in a thread, because it blocks while the head node is gone.
    resources = await asyncio.to_thread(ray.cluster_resources)
    return max(1, min(settings.run_window, int(resources.get("CPU", 1))))


async def await_result(task: ObjectRef[T], *, is_awaited: bool = False) -> T:
    """Return the result of a task or raise its own error; cancel the task with its caller.

    With ``is_awaited`` a cancelled caller waits for the end of the task.
    """
    try:
        return await task
    except RayTaskError as error:
        raise find_cause(error) from None
    except asyncio.CancelledError:
        ray.cancel(task, force=False)
        if is_awaited:
            with suppress(RayError, TimeoutError):
                async with asyncio.timeout(ENDS_WITHIN_S):
                    await task
        raise


async def fan_out(
    items: Sequence[Item],
    size: int,
    submit: Callable[[int, Sequence[Item]], ObjectRef[list[T]]],
    at_a_time: int,
) -> tuple[T, ...]:
    """Run a task for each slice of at most ``size`` items; return results in the items' order.

    ``submit`` gets the place of the first item and the slice. Its deadline is the end of the time
    that the task may take. The first error cancels the other tasks.
    """
    firsts = range(0, len(items), size)
    time_split = TimeSplit(len(firsts), at_a_time)
    results: dict[int, list[T]] = {}

    async def collect(first: int) -> None:
        with set_deadline(time_split.next_s()):
            task = submit(first, items[first : first + size])
        results[first] = await await_result(task)

    await for_each(firsts, collect, at_a_time)
    return tuple(chain.from_iterable(results[first] for first in firsts))


async def run_in_worker(work: Awaitable[T], context: CallContext) -> T:
    """Do the work of a task in its worker process, in the context of its call.

    A task calls this function and names no context variable itself, because Ray pickles a task with
    the globals that it names, and a context variable cannot be pickled.
    """
    load_solver()
    correlate_logs()
    with context.activate():
        return await work


@dataclass(frozen=True, slots=True)
class StoredText:
    """RemoteText in Ray's object store, which lives as long as its owner and a reference to it."""

    array: ObjectRef[NDArray[np.uint8]]
    size: int

    async def read(self) -> memoryview:
        """Return the bytes, which several processes of a node share; wait until they are here."""
        try:
            text = (await self.array).data
        except RayError as error:
            raise ReplicaLostError("Optimizer") from error
        # Ray repeats the task of a lost text, and a task that stores something writes no text then.
        if len(text) != self.size:
            raise ReplicaLostError("Optimizer")
        return text


def find_cause(error: BaseException) -> BaseException:
    """Return the error that a task or a replica raised, without the wrapper of Ray."""
    cause: object = error.cause if isinstance(error, RayTaskError) else error
    return cause if isinstance(cause, BaseException) else error
