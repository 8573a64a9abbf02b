"""Task worker: the event loop of a worker process, kept with its connections from task to task."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeVar

from optimization import load_solver
from serve_app.observability.logs import correlate_logs
from serve_app.observability.metrics import OBSERVERS
from serve_app.observability.traces import start_traces
from serve_app.resources import Resources, open_resources
from serve_app.settings import Settings
from storage.mongo.connection import WRITER_TIMEOUT_S, disconnect

# Below the replicas, because otherwise single rebalances would wait for a large run.
NICENESS: Final = 10
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class TaskWorker:
    """An event loop, and the resources that belong to it."""

    runner: asyncio.Runner
    resources: Resources

    def close(self) -> None:
        """Close the connections to the database and the loop; the others end with their objects."""
        with self.runner:
            self.runner.run(disconnect(self.resources.database))


def run_in_worker(settings: Settings, call: Callable[[Resources], Coroutine[Any, Any, R]]) -> R:
    """Run a coroutine in the loop of this worker process; return its result."""
    worker = load_worker(settings)
    results: list[R] = []

    # Kept beside the loop, because a runner writes out what its coroutine returns, here megabytes,
    # each time that it compares signal handlers, and drops the text again.
    async def keep_result() -> None:
        results.append(await call(worker.resources))

    try:
        worker.runner.run(keep_result())
    except KeyboardInterrupt:
        # Ray cancels a task by an interrupt. It may hit the loop itself as that begins or ends, and
        # the loop then refuses every later task: "this event loop is already running".
        load_worker.cache_clear()
        with suppress(RuntimeError):
            worker.close()
        raise
    return results.pop()


@cache
def load_worker(settings: Settings) -> TaskWorker:
    """Open the loop and the resources of this worker process, once."""
    _prepare_process()
    start_traces(settings)
    runner = asyncio.Runner()

    async def open_here() -> Resources:
        return open_resources(settings, OBSERVERS, timeout_ms=WRITER_TIMEOUT_S * 1000)

    return TaskWorker(runner, runner.run(open_here()))


@cache
def _prepare_process() -> None:
    os.nice(NICENESS)
    load_solver()  # here, because a search would otherwise wait for it
    correlate_logs()
