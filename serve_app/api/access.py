"""Access: the scope that a route requires stands in its signature.

    async def list_models(_: Annotated[Principal, Security(authorize, scopes=[...])], ...)

``authorize`` refuses a principal who is limited to models or portfolios unless the path names them;
a route with ``authorize_unlimited`` in its place checks the limits of its caller itself.
"""

from typing import Annotated, Final

from fastapi import Depends, Request, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase

from serve_app.auth.limits import require_path_within
from serve_app.auth.permissions import Scope
from serve_app.auth.principals import Principal

SCHEME: Final = "bearer"
PRINCIPAL: Final = "principal"  # keys of the ASGI scope
SESSION: Final = "session"


class Authorization(SecurityBase):
    """Dependency that requires the scopes of a route, and names them in the OpenAPI document."""

    def __init__(self, *, checks_path: bool) -> None:
        self.model = HTTPBearer(
            description="an API key or a token of the identity provider, as `Authorization: "
            "Bearer ...`"
        )
        self.scheme_name = SCHEME
        self._checks_path = checks_path

    async def __call__(self, request: Request, required: SecurityScopes) -> Principal:
        caller = find_caller(request)
        caller.require_scopes(required.scopes)
        if caller.is_limited and self._checks_path:
            await require_path_within(caller, request.path_params, request.app.state.ports.store)
        return caller


def find_caller(request: Request) -> Principal:
    """Return the caller of a request: the authenticated principal, if the service has any."""
    return request.scope.get(PRINCIPAL, request.app.state.default_caller)


async def _caller(request: Request) -> Principal:
    return find_caller(request)


authorize: Final = Authorization(checks_path=True)
authorize_unlimited: Final = Authorization(checks_path=False)

Caller = Annotated[Principal, Depends(_caller)]
WritesModels = Annotated[Principal, Security(authorize, scopes=[Scope.MODELS_WRITE])]
ReadsPortfolios = Annotated[Principal, Security(authorize, scopes=[Scope.PORTFOLIOS_READ])]
ReadsRebalances = Annotated[Principal, Security(authorize, scopes=[Scope.REBALANCES_READ])]
StartsRebalances = Annotated[Principal, Security(authorize, scopes=[Scope.REBALANCES_START])]
DeletesRebalances = Annotated[Principal, Security(authorize, scopes=[Scope.REBALANCES_DELETE])]
CancelsRuns = Annotated[Principal, Security(authorize, scopes=[Scope.RUNS_CANCEL])]
ReadsOrders = Annotated[Principal, Security(authorize, scopes=[Scope.ORDERS_READ])]
ManagesKeys = Annotated[Principal, Security(authorize, scopes=[Scope.KEYS_MANAGE])]
ReadsAudit = Annotated[Principal, Security(authorize, scopes=[Scope.AUDIT_READ])]
ProposesOrders = StartsRebalances
WritesRules = Annotated[Principal, Security(authorize, scopes=[Scope.RULES_WRITE])]
DecidesProposals = Annotated[Principal, Security(authorize, scopes=[Scope.APPROVALS_DECIDE])]
SendsOrders = Annotated[Principal, Security(authorize, scopes=[Scope.ORDERS_SEND])]

# Routes with these scopes check the limits of their callers themselves, because their bodies,
# queries or answers name the models or portfolios.
ReadsSomeModels = Annotated[Principal, Security(authorize_unlimited, scopes=[Scope.MODELS_READ])]
ReadsSomePortfolios = Annotated[
    Principal, Security(authorize_unlimited, scopes=[Scope.PORTFOLIOS_READ])
]
ReadsSomeRebalances = Annotated[
    Principal, Security(authorize_unlimited, scopes=[Scope.REBALANCES_READ])
]
StartsSomeRebalances = Annotated[
    Principal, Security(authorize_unlimited, scopes=[Scope.REBALANCES_START])
]

# No limit applies to routes with these scopes.
UsesOptimize = Annotated[Principal, Security(authorize_unlimited, scopes=[Scope.OPTIMIZE_USE])]
ReadsSystem = Annotated[Principal, Security(authorize_unlimited, scopes=[Scope.SYSTEM_READ])]
