"""Ports: Protocols of the deployments, with the delivery of each call beside its signature.

    class StoredModels(Protocol):
        @repeatable
        @abstractmethod
        async def read_model(self, model_id: str) -> Model: ...

A caller gets a port from ``connect`` and a deployment derives from it, so that the type checker
checks both against one signature.
"""

import inspect
from collections.abc import Callable, Coroutine, Iterator
from enum import Enum, auto
from typing import Any, Final, TypeVar

MethodT = TypeVar("MethodT", bound=Callable[..., Any])
Method = Callable[..., Coroutine[Any, Any, Any]]

_DELIVERY: Final = "__delivery__"


class Delivery(Enum):
    """Number of replicas and attempts that a call may reach."""

    ONCE = auto()  # one replica, one attempt
    REPEATABLE = auto()  # one replica; another attempt after a lost replica
    BROADCAST = auto()  # every replica, best effort, without a result


def repeatable(method: MethodT) -> MethodT:
    """Declare that a call may be repeated, because it changes nothing or names its owner."""
    setattr(method, _DELIVERY, Delivery.REPEATABLE)
    return method


def broadcast(method: MethodT) -> MethodT:
    """Declare that a call goes to every replica, because any replica may be concerned."""
    setattr(method, _DELIVERY, Delivery.BROADCAST)
    return method


def read_delivery(method: Method) -> Delivery:
    """Return the delivery that a method of a port declares."""
    return getattr(method, _DELIVERY, Delivery.ONCE)


def list_methods(port: type) -> Iterator[tuple[str, Method]]:
    """Yield the methods that a port and its bases declare, by name."""
    for name, method in inspect.getmembers(port, inspect.iscoroutinefunction):
        if not name.startswith("_"):
            yield name, method
