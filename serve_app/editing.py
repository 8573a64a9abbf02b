"""Changes of a model: each takes a model and gives the changed one, of the same version.

EditError
├── TargetExistsError    the security has a target already
├── TargetUnknownError   the security has none
└── TargetDiffersError   the target is not the one that was to be removed

Every class passes all its arguments to ``super().__init__`` so that it survives pickling between processes.
"""

from collections.abc import Iterable
from dataclasses import replace

from optimization import Model, Target
from storage.errors import StaleVersionError

Versions = frozenset[int] | None
"""Versions of a model that may be changed; None for any."""


class EditError(Exception):
    """Base of what makes a change impossible."""

    def __init__(self, security_id: str) -> None:
        super().__init__(security_id)
        self.security_id = security_id


class TargetExistsError(EditError):
    """The security has a target already."""

    def __str__(self) -> str:
        return f"security {self.security_id} is already in the model"


class TargetUnknownError(EditError):
    """The security has no target."""

    def __str__(self) -> str:
        return f"security {self.security_id} is not in the model"


class TargetDiffersError(EditError):
    """The stored target has other values."""

    def __str__(self) -> str:
        return f"security {self.security_id} is in the model with other values"


def require_version(model: Model, versions: Versions) -> None:
    """Raise StaleVersionError unless this version of the model may be changed."""
    if versions is not None and model.version not in versions:
        expected = max(versions, default=0)
        raise StaleVersionError("model", str(model.model_id), expected, model.version)


def with_target(model: Model, target: Target) -> Model:
    """Add a target."""
    if _found(model, target.security_id):
        raise TargetExistsError(target.security_id)
    return replace(model, targets=(*model.targets, target))


def with_replaced_target(model: Model, target: Target) -> Model:
    """Change the target of a security; a weight of 0 removes it."""
    if not _found(model, target.security_id):
        raise TargetUnknownError(target.security_id)
    kept = (
        target if stored.security_id == target.security_id else stored for stored in model.targets
    )
    return replace(model, targets=tuple(kept))


def without_target(model: Model, target: Target) -> Model:
    """Remove a target whose every value is the given one."""
    stored = _found(model, target.security_id)
    if stored is None:
        raise TargetUnknownError(target.security_id)
    if stored != target:
        raise TargetDiffersError(target.security_id)
    return replace(model, targets=tuple(other for other in model.targets if other != target))


def with_portfolios(model: Model, portfolio_ids: Iterable[str]) -> Model:
    """Add portfolios; the ones already there are ignored."""
    return replace(
        model, portfolio_ids=tuple(dict.fromkeys((*model.portfolio_ids, *portfolio_ids)))
    )


def without_portfolios(model: Model, portfolio_ids: Iterable[str]) -> Model:
    """Remove portfolios; the ones not there are ignored, the last one has to stay."""
    gone = frozenset(portfolio_ids)
    kept = tuple(portfolio for portfolio in model.portfolio_ids if portfolio not in gone)
    return replace(model, portfolio_ids=kept)


def _found(model: Model, security_id: str) -> Target | None:
    return next((target for target in model.targets if target.security_id == security_id), None)
