"""Principals: callers with their scopes, and the models and portfolios they are limited to."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from serve_app.auth.errors import AuthenticationError, OutsideLimitsError, ScopeMissingError
from serve_app.auth.permissions import Scope

MODELS: Final = "models"
PORTFOLIOS: Final = "portfolios"
NAMELESS: Final = "a proposal is made and decided on by callers with a name: set AUTH"


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller; ``models`` and ``portfolios`` are the ids it is limited to, None for no limit.

    ``name`` identifies the caller in the audit log and in rate limits; ``display_name`` is for
    people, and anybody may have the same. ``approver_level`` is 1 to 3, and matters for those who
    may approve proposals.
    """

    name: str
    scopes: frozenset[Scope]
    models: frozenset[str] | None = None
    portfolios: frozenset[str] | None = None
    display_name: str = ""
    approver_level: int = 1

    @property
    def is_limited(self) -> bool:
        """True if the caller may use only some models or portfolios."""
        return self.models is not None or self.portfolios is not None

    def require_name(self) -> str:
        """Return the name of the caller; AuthenticationError if the caller has none."""
        if not self.name:
            raise AuthenticationError(NAMELESS, is_missing=True)
        return self.name

    def require_scopes(self, scopes: Iterable[str]) -> None:
        """Raise ScopeMissingError unless the caller has all these scopes."""
        missing = tuple(scope for scope in scopes if scope not in self.scopes)
        if missing:
            raise ScopeMissingError(self.name, missing)

    def require_models(self, model_ids: Iterable[str]) -> None:
        """Raise OutsideLimitsError if a model is outside the limits, or if there is none."""
        if self.models is None:
            return
        lower_ids = [model_id.lower() for model_id in model_ids]
        if not lower_ids:
            raise OutsideLimitsError(self.name, MODELS, "name the models")
        for model_id in lower_ids:
            if model_id not in self.models:
                raise OutsideLimitsError(self.name, MODELS, f"{model_id} is none of them")

    def require_portfolios(self, portfolio_ids: Iterable[str]) -> None:
        """Raise OutsideLimitsError if a portfolio is outside the limits, or if there is none."""
        if self.portfolios is None:
            return
        ids = list(portfolio_ids)
        if not ids:
            raise OutsideLimitsError(self.name, PORTFOLIOS, "name the portfolios")
        for portfolio_id in ids:
            if portfolio_id not in self.portfolios:
                raise OutsideLimitsError(self.name, PORTFOLIOS, f"{portfolio_id} is none of them")


UNRESTRICTED: Final = Principal("", frozenset(Scope))
"""Every caller of a service that authenticates nobody."""

UNKNOWN_CALLER: Final = Principal("", frozenset())
"""A caller without credentials, on paths that are open to everybody."""

METRICS_READER: Final = Principal("", frozenset({Scope.SYSTEM_READ}))
"""A caller without credentials, on /metrics where OPEN_METRICS is set."""
