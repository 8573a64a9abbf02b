"""Clients of the deployments, made from their ports; for the ingress and for Python in the cluster.

    store, optimizer = connect_store(), connect_optimizer()
    model = await store.read_model(model_id)

Errors of a deployment arrive as themselves. Serve does not repeat a call whose replica died, so a
client does, if the port declares the method to be repeatable. ``@serves`` is the other end: the
methods of a deployment run in the context of their callers.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from contextlib import contextmanager, suppress
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import stamina
from ray import serve
from ray.exceptions import RayActorError, RayError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from serve_app.call_context import CallContext
from serve_app.observability.traces import span
from serve_app.ports.errors import OverloadedError, ReplicaLostError
from serve_app.ports.health import LivenessPort
from serve_app.ports.optimizer import Optimizer
from serve_app.ports.port import Delivery, Method, list_methods, read_delivery
from serve_app.ports.store import Store
from serve_app.ray_calls import find_cause

APPLICATION: Final = "order-generation"
MAX_ATTEMPTS: Final = 3
BROADCAST_TIMEOUT_S: Final = 1.0
REACH_TIMEOUT_S: Final = 30.0  # replicas that start at the same time load a solver meanwhile
CALL_CONTEXT: Final = "call_context"  # keyword argument that carries the CallContext

P = ParamSpec("P")
R = TypeVar("R")
PortT = TypeVar("PortT")
SelfT = TypeVar("SelfT")
ClassT = TypeVar("ClassT", bound=type)
Arguments = tuple[tuple[Any, ...], Mapping[str, Any]]
Send = Callable[[DeploymentHandle[Any], str, Arguments], Awaitable[Any]]

logger = logging.getLogger(__name__)

_repeat = stamina.AsyncRetryingCaller(
    attempts=MAX_ATTEMPTS, timeout=None, wait_initial=0.0, wait_jitter=0.0
).on(ReplicaLostError)


def connect_store() -> Store:
    """Return a client of the ModelStore deployment, from any process of the cluster.

    A process calls it from one event loop, because Serve ties a handle to the first loop.
    """
    return connect(Store, serve.get_deployment_handle("ModelStore", APPLICATION))


def connect_optimizer() -> Optimizer:
    """Return a client of the Optimizer deployment, from any process of the cluster."""
    return connect(Optimizer, serve.get_deployment_handle("Optimizer", APPLICATION))


async def reach(*deployments: LivenessPort, within_s: float = REACH_TIMEOUT_S) -> None:
    """Call each deployment once, so that later calls of this process do without the head node.

    Serve asks the head node where the replicas are at the first call alone, and blocks the event
    loop meanwhile: without this, a head that is lost right after a deploy would take the process
    with it. Logs a warning and returns if a deployment has not answered within ``within_s``.
    """
    try:
        async with asyncio.timeout(within_s):
            await asyncio.gather(*(deployment.answer() for deployment in deployments))
    except (TimeoutError, OverloadedError, ReplicaLostError) as error:
        logger.warning("not every deployment was reached at the start: %r", error)


def connect(port: type[PortT], handle: DeploymentHandle[Any]) -> PortT:
    """Return a client with the methods of the port, which calls the deployment of the handle."""
    forwarders = {name: _forwarder(name, method, handle) for name, method in list_methods(port)}
    client: Any = type(f"Remote{port.__name__}", (port,), forwarders)
    return client()


def _forwarder(
    name: str, method: Method, handle: DeploymentHandle[Any]
) -> Callable[..., Coroutine[Any, Any, Any]]:
    send = _SENDERS[read_delivery(method)]

    @wraps(method, updated=())  # without the mark of an abstract method
    async def forward(_: object, /, *args: Any, **kwargs: Any) -> Any:
        return await send(handle, name, (args, kwargs))

    return forward


async def _send_once(handle: DeploymentHandle[Any], name: str, arguments: Arguments) -> Any:
    args, kwargs = arguments
    with _translated_errors(handle.deployment_name):
        response = handle.options(method_name=name).remote(*args, **kwargs, **_context())
        try:
            return await response
        except asyncio.CancelledError:
            response.cancel()  # because a caller that leaves ends the work in the replica, too
            raise


async def _send_repeatedly(handle: DeploymentHandle[Any], name: str, arguments: Arguments) -> Any:
    return await _repeat(_send_once, handle, name, arguments)


async def _send_to_all(handle: DeploymentHandle[Any], name: str, arguments: Arguments) -> None:
    args, kwargs = arguments
    with suppress(TimeoutError, RayError, DeploymentUnavailableError):
        responses = handle.broadcast(name, *args, **kwargs, **_context())
        await responses.results_async(timeout_s=BROADCAST_TIMEOUT_S, return_exceptions=True)


_SENDERS: Final[Mapping[Delivery, Send]] = {
    Delivery.ONCE: _send_once,
    Delivery.REPEATABLE: _send_repeatedly,
    Delivery.BROADCAST: _send_to_all,
}


def _context() -> dict[str, CallContext]:
    return {CALL_CONTEXT: CallContext.capture()}


@contextmanager
def _translated_errors(deployment: str) -> Generator[None]:
    try:
        yield
    except (RayError, BackPressureError, DeploymentUnavailableError) as error:
        match cause := find_cause(error):
            case RayActorError():
                raise ReplicaLostError(deployment) from cause
            case BackPressureError() | DeploymentUnavailableError():
                raise OverloadedError(deployment) from cause
            case _:
                raise cause from None


def serves(port: type) -> Callable[[ClassT], ClassT]:
    """Decorate a deployment: the methods of its port run in the context of their callers."""

    def decorate(deployment: ClassT) -> ClassT:
        for name, _ in list_methods(port):
            setattr(deployment, name, _activate_context(getattr(deployment, name)))
        return deployment

    return decorate


def _activate_context(
    method: Callable[Concatenate[SelfT, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[SelfT, P], Coroutine[Any, Any, R]]:
    @wraps(method)
    async def call(self: SelfT, /, *args: P.args, **kwargs: P.kwargs) -> R:
        context: Any = kwargs.pop(CALL_CONTEXT, None) or CallContext.capture()
        with context.activate(), span(f"{type(self).__name__}.{method.__name__}"):
            return await method(self, *args, **kwargs)

    return call
