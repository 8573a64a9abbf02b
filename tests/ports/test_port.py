"""Ports: deliveries declared beside signatures, and work in the context of its caller."""

import pickle
from abc import abstractmethod
from collections import Counter
from typing import Any, Protocol

import pytest

from serve_app.call_context import CallContext, correlation_id, remaining_s, set_deadline
from serve_app.deployments.handles import CALL_CONTEXT, serves
from serve_app.ports.errors import OverloadedError, PortError, ReplicaLostError
from serve_app.ports.port import (
    Delivery,
    broadcast,
    list_methods,
    read_delivery,
    repeatable,
)
from serve_app.ports.store import Store


class Greetings(Protocol):
    @abstractmethod
    async def greet(self, name: str, *, times: int = 1) -> str: ...

    @repeatable
    @abstractmethod
    async def read_id(self) -> tuple[str, float]: ...

    @broadcast
    @abstractmethod
    async def forget(self, name: str) -> None: ...


class More(Greetings, Protocol):
    @abstractmethod
    async def leave(self) -> None: ...


@serves(Greetings)
class Greeter(Greetings):
    async def greet(self, name: str, *, times: int = 1) -> str:
        return f"hello {name}! " * times

    async def read_id(self) -> tuple[str, float]:
        return correlation_id.get(), remaining_s()

    async def forget(self, name: str) -> None:
        raise KeyError(name)


def test_a_port_has_the_methods_of_its_bases_with_the_delivery_of_each():
    deliveries = {name: read_delivery(method) for name, method in list_methods(More)}

    assert deliveries == {
        "greet": Delivery.ONCE,
        "read_id": Delivery.REPEATABLE,
        "forget": Delivery.BROADCAST,
        "leave": Delivery.ONCE,
    }


async def test_a_deployment_works_in_the_context_that_a_caller_sends():
    deployment: Any = Greeter()

    name, left = await deployment.read_id(**{CALL_CONTEXT: CallContext("nightly", 5.0)})

    assert (name, 4 < left <= 5) == ("nightly", True)
    assert correlation_id.get() == ""


async def test_a_deployment_that_is_called_in_its_own_process_works_in_the_context_there():
    token = correlation_id.set("here")
    with set_deadline(5.0):
        name, left = await Greeter().read_id()
    correlation_id.reset(token)

    assert (name, 4 < left <= 5) == ("here", True)


async def test_arguments_and_results_pass_as_they_are():
    assert await Greeter().greet("P", times=2) == "hello P! hello P! "


def test_a_class_that_lacks_a_method_of_its_port_cannot_be_made():
    class Mute(Greetings):
        pass

    with pytest.raises(TypeError, match="abstract"):
        Mute()


@pytest.mark.parametrize("port", [Store])
def test_a_method_of_a_deployment_is_declared_by_one_port_alone(port: type):
    names = {name for name, _ in list_methods(port)}
    declared = Counter(name for base in port.__mro__ for name in vars(base) if name in names)

    assert set(declared.values()) == {1}


@pytest.mark.parametrize("port", [Store])
def test_every_method_of_a_port_is_one_that_a_deployment_has_to_write(port: Any):
    assert {name for name, _ in list_methods(port)} == set(port.__abstractmethods__)


@pytest.mark.parametrize("kind", [ReplicaLostError, OverloadedError])
def test_an_error_of_a_call_survives_pickling(kind: type[PortError]):
    error = kind("Optimizer")

    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert "Optimizer" in str(error)
