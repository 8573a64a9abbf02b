"""Dependencies of the routes: ports, settings, and parameters of paths, queries and headers.

Domain objects are the payload. Errors arrive as themselves (storage.errors, optimization.errors,
serve_app.upstream.errors, serve_app.ports.errors); serve_app.problems turns each into an answer.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, get_origin

from fastapi import Depends, Header, Path, Query, Request, params
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_flat_params
from fastapi.exceptions import RequestValidationError
from pydantic import BeforeValidator
from starlette.exceptions import HTTPException

from serve_app.api.schemas.fields import GlobecoIdentifier
from serve_app.api.schemas.general_fields import AnyIdentifier
from serve_app.api.schemas.models import Version
from serve_app.api.schemas.rules_in_force import ByRules
from serve_app.api.schemas.stored_fields import several_ids
from serve_app.ports import optimizer, rebalances, store
from serve_app.settings import Settings
from serve_app.upstream.http_client import UpstreamHealth

MAX_PARAMETER_ERRORS: Final = 20
MAX_SOUGHT: Final = 100  # ids of a query, because more exceed the longest request line
RESPOND_ASYNC: Final = "respond-async"
_OBJECT_ID: Final[Any] = Path(pattern=r"^[0-9a-fA-F]{24}$", description="24 hexadecimal digits")

ModelId = Annotated[str, _OBJECT_ID]
RebalanceId = Annotated[str, _OBJECT_ID]
RunId = Annotated[str, _OBJECT_ID]
ScanId = Annotated[str, _OBJECT_ID]
SoughtPortfolios = Annotated[
    list[str],
    several_ids(max_length=MAX_SOUGHT),
    Query(default_factory=list, description="portfolio ids; repeatable"),
]


def _require_one_step(value: str) -> str:
    """Refuse a slash, which arrives unescaped, because the service has no route for such a path."""
    if "/" in value:
        raise HTTPException(404)
    return value


PortfolioId = Annotated[
    str,
    ByRules(Annotated[GlobecoIdentifier, BeforeValidator(_require_one_step)], AnyIdentifier),
    Path(description="id of the portfolio"),
]
StoredVersion = Annotated[Version, Query(description="the stored version")]
Prefer = Annotated[
    list[str] | None,
    Header(description="`respond-async` (RFC 7240) returns 202 before the work is done"),
]
Check = Callable[[], Awaitable[None]]
UpstreamCheck = Callable[[], Awaitable[UpstreamHealth]]


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything the application needs from outside.

    ``checks`` and ``upstreams`` are the health checks of readiness, by the name of the part; a part
    fails if its check raises or times out. ``metrics`` returns the text of Prometheus. Direct
    rebalances go to ``rebalancing``, or to the optimizer if ``rebalancing`` is None.
    """

    store: store.Store
    optimizer: optimizer.Optimizer
    checks: Mapping[str, Check]
    metrics: Callable[[], Awaitable[str]]
    upstreams: Mapping[str, UpstreamCheck] = field(default_factory=dict[str, UpstreamCheck])
    rebalancing: rebalances.Rebalancing | None = None


# These are coroutines, because FastAPI would run each plain function in a thread of its own.
async def _ports(request: Request) -> Ports:
    return request.app.state.ports


async def _store(request: Request) -> store.Store:
    return request.app.state.ports.store


async def _optimizer(request: Request) -> optimizer.Optimizer:
    return request.app.state.ports.optimizer


async def _rebalance_port(request: Request) -> rebalances.Rebalancing:
    ports: Ports = request.app.state.ports
    return ports.rebalancing or ports.optimizer


async def _settings(request: Request) -> Settings:
    return request.app.state.settings


async def _responds_async(prefer: Prefer = None) -> bool:
    preferences = ",".join(prefer or ()).split(",")
    return any(
        preference.split(";")[0].strip().lower() == RESPOND_ASYNC for preference in preferences
    )


AllPorts = Annotated[Ports, Depends(_ports)]
StorePort = Annotated[store.Store, Depends(_store)]
OptimizerPort = Annotated[optimizer.Optimizer, Depends(_optimizer)]
RebalancingPort = Annotated[rebalances.Rebalancing, Depends(_rebalance_port)]
ServiceSettings = Annotated[Settings, Depends(_settings)]
RespondAsync = Annotated[bool, Depends(_responds_async)]


async def require_known_parameters(request: Request) -> None:
    """Refuse unknown query parameters, which the framework would ignore, and repeated ones.

    A parameter may be repeated if the route takes a list.
    """
    counts = Counter(name for name, _ in request.query_params.multi_items())
    if not counts:
        return
    parameters = list_query_parameters(request.scope["route"].dependant)
    unknown = [name for name in counts if name not in parameters]
    duplicates = [
        name for name, count in counts.items() if count > 1 and parameters.get(name) is False
    ]
    errors = [_error(name, "unknown query parameter") for name in unknown]
    errors += [_error(name, "give it only once") for name in duplicates]
    if errors:
        raise RequestValidationError(errors[:MAX_PARAMETER_ERRORS])


def list_query_parameters(dependant: Dependant) -> Mapping[str, bool]:
    """List the query parameters of a route by name; True for a parameter that is a list."""
    return {
        field.alias: get_origin(field.field_info.annotation) is list
        for field in get_flat_params(dependant)
        if isinstance(field.field_info, params.Query)
    }


def _error(name: str, rule: str) -> dict[str, object]:
    return {"type": "parameter", "loc": ("query", name), "msg": rule}
