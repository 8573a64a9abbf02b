"""Clients of deployments: delivery of a port's calls, also when replicas are lost or busy."""

import asyncio
import inspect
import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

import pytest
from ray.exceptions import ActorDiedError, RayTaskError
from ray.serve.exceptions import BackPressureError

from serve_app.call_context import correlation_id, remaining_s, set_deadline
from serve_app.deployments.handles import MAX_ATTEMPTS, connect, reach, serves
from serve_app.ports.errors import OverloadedError, ReplicaLostError
from serve_app.ports.optimizer import Optimizer
from serve_app.ports.port import broadcast, list_methods, repeatable
from serve_app.ports.store import Store
from storage.errors import NotFoundError
from tests.support.local_handle import Handle


class Work(Protocol):
    @abstractmethod
    async def start(self, name: str, *, times: int = 1) -> str: ...

    @repeatable
    @abstractmethod
    async def read(self) -> tuple[str, float]: ...

    @broadcast
    @abstractmethod
    async def forget(self, name: str) -> None: ...


@serves(Work)
class Worker(Work):
    """Worker that raises each of ``errors`` in turn, and works after that."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.calls = 0
        self.ended = asyncio.Event()

    async def start(self, name: str, *, times: int = 1) -> str:
        self._fail()
        try:
            await asyncio.sleep(0 if name == "short" else 60)
        finally:
            self.ended.set()
        return name * times

    async def read(self) -> tuple[str, float]:
        self._fail()
        return correlation_id.get(), remaining_s()

    async def forget(self, name: str) -> None:
        self._fail()
        assert name

    def _fail(self) -> None:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)


def client_of(worker: Worker) -> Work:
    handle: Any = Handle(lambda: worker)
    return connect(Work, handle)


def task_error(cause: Exception) -> BaseException:
    """Wrap an error as it arrives from a replica."""
    return RayTaskError("start", "Traceback", cause).as_instanceof_cause()


async def test_arguments_and_results_pass_as_they_are():
    assert await client_of(Worker()).start("short", times=2) == "shortshort"


async def test_a_deployment_knows_the_id_of_its_caller_and_how_long_it_waits():
    token = correlation_id.set("nightly")
    with set_deadline(5.0):
        name, left = await client_of(Worker()).read()
    correlation_id.reset(token)

    assert (name, 4 < left <= 5) == ("nightly", True)
    assert await client_of(Worker()).read() == ("", math.inf)


async def test_an_error_of_a_deployment_arrives_as_itself():
    missing = NotFoundError("model", "7")

    with pytest.raises(NotFoundError) as found:
        await client_of(Worker(task_error(missing))).read()

    assert found.value is missing


async def test_a_repeatable_call_outlives_two_lost_replicas():
    worker = Worker(ActorDiedError(), ActorDiedError())

    await client_of(worker).read()

    assert worker.calls == MAX_ATTEMPTS


async def test_a_repeatable_call_is_given_up_after_its_last_attempt():
    worker = Worker(*[ActorDiedError()] * 5)

    with pytest.raises(ReplicaLostError, match="here"):
        await client_of(worker).read()

    assert worker.calls == MAX_ATTEMPTS


async def test_a_call_that_starts_work_is_made_once():
    worker = Worker(ActorDiedError())

    with pytest.raises(ReplicaLostError):
        await client_of(worker).start("short")

    assert worker.calls == 1


class Late:
    """A deployment that answers once it is there."""

    def __init__(self) -> None:
        self.is_there = asyncio.Event()

    async def answer(self) -> None:
        await self.is_there.wait()


async def test_a_process_waits_until_it_has_reached_every_deployment():
    here, late = Late(), Late()
    here.is_there.set()

    reaching = asyncio.ensure_future(reach(here, late))
    await asyncio.sleep(0.05)
    assert not reaching.done()

    late.is_there.set()
    await asyncio.wait_for(reaching, 5)


async def test_a_deployment_that_never_answers_does_not_hold_a_process_back_for_ever(
    caplog: pytest.LogCaptureFixture,
):
    await reach(Late(), within_s=0.05)

    assert "not every deployment was reached" in caplog.text


@pytest.mark.parametrize("arrives", [lambda error: error, task_error], ids=["local", "from afar"])
async def test_a_full_queue_is_an_error_of_its_own_and_not_repeated(
    arrives: Callable[[Exception], BaseException],
):
    worker = Worker(arrives(BackPressureError(10, 10)))

    with pytest.raises(OverloadedError):
        await client_of(worker).read()

    assert worker.calls == 1


async def test_a_caller_that_leaves_ends_the_work_of_the_replica():
    worker = Worker()
    call = asyncio.create_task(client_of(worker).start("long"))
    await asyncio.sleep(0.01)

    call.cancel()

    async with asyncio.timeout(10):
        await worker.ended.wait()
    assert call.cancelled()


async def test_nobody_needs_to_hear_a_broadcast():
    worker = Worker(ActorDiedError())

    await client_of(worker).forget("P")
    await client_of(worker).forget("P")

    assert worker.calls == 2


@pytest.mark.parametrize("port", [Store, Optimizer])
def test_a_client_has_every_method_of_its_port_with_its_signature(port: type):
    handle: Any = Handle(lambda: None)
    client = connect(port, handle)

    for name, method in list_methods(port):
        own = inspect.signature(getattr(client, name)).parameters
        assert [*own] == [*inspect.signature(method).parameters][1:], name
