"""Ports of the health checks that readiness asks."""

from abc import abstractmethod
from typing import Protocol

from serve_app.ports.port import repeatable
from serve_app.upstream.http_client import UpstreamHealth


class LivenessPort(Protocol):
    """Deployment that can be reached."""

    @repeatable
    @abstractmethod
    async def answer(self) -> None:
        """Return at once, in whatever state the database and the upstreams are."""
        ...


class UpstreamChecks(Protocol):
    """Health of the upstreams of a deployment; each replica has its own circuit breakers."""

    @repeatable
    @abstractmethod
    async def check_upstream(self, upstream: str) -> UpstreamHealth:
        """Ask the upstream of this name for its health."""
        ...


class DatabaseCheck(Protocol):
    """Health of the database."""

    @repeatable
    @abstractmethod
    async def ping(self) -> None:
        """Raise StorageUnavailableError unless the database responds."""
        ...
