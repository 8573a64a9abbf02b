"""Dependencies of the routes: the ports of the deployments, and the settings.

Domain objects are the payload. Errors arrive as themselves (storage.errors, optimization.errors,
serve_app.upstream.errors, serve_app.ports.errors); serve_app.problems turns each into an answer.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from serve_app.ports import optimizer, store
from serve_app.settings import Settings
from serve_app.upstream.http_client import UpstreamHealth

Check = Callable[[], Awaitable[None]]
UpstreamCheck = Callable[[], Awaitable[UpstreamHealth]]


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything the application needs from outside.

    ``checks`` and ``upstreams`` are the health checks of readiness, by the name of the part; a part
    fails if its check raises or times out. ``metrics`` returns the text of Prometheus.
    """

    store: store.Store
    optimizer: optimizer.Optimizer
    checks: Mapping[str, Check]
    metrics: Callable[[], Awaitable[str]]
    upstreams: Mapping[str, UpstreamCheck] = field(default_factory=dict[str, UpstreamCheck])


def _ports(request: Request) -> Ports:
    return request.app.state.ports


def _store(request: Request) -> store.Store:
    return _ports(request).store


def optimizer_of(request: Request) -> optimizer.Optimizer:
    """Return the port that rebalances for this application."""
    return _ports(request).optimizer


def settings_of(request: Request) -> Settings:
    """The settings of this application."""
    return request.app.state.settings


Parts = Annotated[Ports, Depends(_ports)]
Store = Annotated[store.Store, Depends(_store)]
Rebalancer = Annotated[optimizer.Optimizer, Depends(optimizer_of)]
Configured = Annotated[Settings, Depends(settings_of)]
