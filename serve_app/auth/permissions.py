"""Permissions: scopes that routes require, and roles as sets of scopes."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final


class Scope(StrEnum):
    """Right to one kind of operation; a route names the scope that it requires."""

    MODELS_READ = "models:read"
    MODELS_WRITE = "models:write"
    PORTFOLIOS_READ = "portfolios:read"
    REBALANCES_READ = "rebalances:read"
    REBALANCES_START = "rebalances:start"
    REBALANCES_DELETE = "rebalances:delete"
    RUNS_CANCEL = "runs:cancel"
    ORDERS_READ = "orders:read"
    ORDERS_SEND = "orders:send"
    APPROVALS_DECIDE = "approvals:decide"
    RULES_WRITE = "rules:write"
    OPTIMIZE_USE = "optimize:use"
    SYSTEM_READ = "system:read"
    KEYS_MANAGE = "keys:manage"
    AUDIT_READ = "audit:read"


class Role(StrEnum):
    """Set of scopes that fits the work of one group of people or programs."""

    VIEWER = "viewer"
    TRADER = "trader"
    APPROVER = "approver"
    MODEL_MANAGER = "model-manager"
    OPERATOR = "operator"
    ADMIN = "admin"


_READING: Final = frozenset(
    {Scope.MODELS_READ, Scope.PORTFOLIOS_READ, Scope.REBALANCES_READ, Scope.ORDERS_READ}
)
ROLES: Final[Mapping[Role, frozenset[Scope]]] = {
    Role.VIEWER: _READING,
    Role.TRADER: _READING
    | {Scope.REBALANCES_START, Scope.RUNS_CANCEL, Scope.ORDERS_SEND, Scope.OPTIMIZE_USE},
    Role.APPROVER: _READING | {Scope.APPROVALS_DECIDE, Scope.RULES_WRITE},
    Role.MODEL_MANAGER: _READING | {Scope.MODELS_WRITE, Scope.OPTIMIZE_USE},
    Role.OPERATOR: _READING
    | {Scope.SYSTEM_READ, Scope.RUNS_CANCEL, Scope.REBALANCES_DELETE, Scope.AUDIT_READ},
    Role.ADMIN: frozenset(Scope),
}


def derive_scopes(roles: Iterable[str], scopes: Iterable[str] = ()) -> frozenset[Scope]:
    """Collect the scopes of roles, and single scopes; an unknown name gives no right.

    >>> sorted(derive_scopes(["viewer", "of-a-later-release"], ["system:read"]))[-1].value
    'system:read'
    """
    known_roles = {role.value: ROLES[role] for role in Role}
    known = {scope.value: scope for scope in Scope}
    of_roles = (known_roles.get(role, frozenset[Scope]()) for role in roles)
    return frozenset[Scope]().union(*of_roles, (known[name] for name in scopes if name in known))
