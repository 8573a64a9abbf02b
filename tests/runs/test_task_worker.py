"""Task worker: interrupts, by which Ray cancels tasks, and what the process makes of a result."""

import asyncio
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from serve_app.resources import Resources
from serve_app.runs.task_worker import load_worker, run_in_worker
from serve_app.settings import Settings, read_settings
from storage.mongo.connection import ping

pytestmark = pytest.mark.mongo


@pytest.fixture
def process() -> Iterator[ProcessPoolExecutor]:
    """Process of its own, because a worker lowers the priority of its process for good."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        yield pool


@pytest.fixture
def settings(mongodb_uri: str) -> Settings:
    upstreams = ("portfolio_accounting", "pricing", "security", "portfolio", "order")
    urls = {f"{name}_service_url": "http://127.0.0.1:9" for name in upstreams}
    return read_settings({"mongodb_uri": mongodb_uri, **urls})


async def answer(resources: Resources) -> str:
    await ping(resources.database)
    return "answered"


async def interrupt(_: Resources) -> None:
    signal.raise_signal(signal.SIGINT)
    await asyncio.sleep(60)


async def interrupt_the_end(_: Resources) -> None:
    """Interrupt the loop itself, after the end of what it runs."""
    task = asyncio.current_task()
    assert task is not None
    task.add_done_callback(lambda _: signal.raise_signal(signal.SIGINT))


class WrittenOut:
    """Result that counts how often it is written out."""

    times = 0

    def __repr__(self) -> str:
        WrittenOut.times += 1
        return "WrittenOut()"


async def return_counted(_: Resources) -> WrittenOut:
    return WrittenOut()


def count_texts_of_a_result(settings: Settings) -> int:
    """Run a task from the main thread, as a worker of Ray does."""
    run_in_worker(settings, return_counted)
    return WrittenOut.times


def run_after_interrupts(settings: Settings) -> list[str]:
    """Run tasks with interrupts between them; return what became of each."""
    seen: list[str] = []
    for call in (answer, interrupt, answer, interrupt_the_end, answer, answer):
        before = load_worker(settings)
        try:
            result = run_in_worker(settings, call)
        except KeyboardInterrupt:
            result = "interrupted"
        kept = "kept" if load_worker(settings) is before else "opened anew"
        seen.append(f"{result}, {kept}")
    return seen


def test_an_interrupt_costs_a_worker_its_event_loop_and_no_later_task(
    process: ProcessPoolExecutor, settings: Settings
) -> None:
    assert process.submit(run_after_interrupts, settings).result(timeout=180) == [
        "answered, kept",
        "interrupted, opened anew",
        "answered, kept",
        "interrupted, opened anew",
        "answered, kept",
        "answered, kept",
    ]


def test_the_result_of_a_task_is_not_written_out(
    process: ProcessPoolExecutor, settings: Settings
) -> None:
    assert process.submit(count_texts_of_a_result, settings).result(timeout=180) == 0
