"""Handles of deployments without a cluster: calls in this process, cancelled like Serve's."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any


@dataclass
class Method:
    """A method of a deployment, as a handle offers it."""

    call: Callable[..., Awaitable[Any]]

    def remote(self, *args: Any, **kwargs: Any) -> "Response":
        return Response(asyncio.ensure_future(self.call(*args, **kwargs)))


@dataclass
class Response:
    """A pending response of a deployment."""

    work: asyncio.Future[Any]

    def __await__(self) -> Any:
        # Shielded, because with Serve the end of the wait does not end the call either.
        return asyncio.shield(self.work).__await__()

    def cancel(self) -> None:
        self.work.cancel()


@dataclass
class Broadcast:
    """The responses of all replicas, of which this process has one."""

    work: Awaitable[Any]

    async def results_async(self, **_: Any) -> list[Any]:
        return [await self.work]


class Handle:
    """Handle to a deployment in this process, which is looked up at every call."""

    deployment_name = "here"

    def __init__(self, deployment: Callable[[], object]) -> None:
        self._deployment = deployment

    def options(self, *, method_name: str) -> Method:
        return Method(getattr(self._deployment(), method_name))

    def broadcast(self, method_name: str, *args: Any, **kwargs: Any) -> Broadcast:
        return Broadcast(getattr(self._deployment(), method_name)(*args, **kwargs))
