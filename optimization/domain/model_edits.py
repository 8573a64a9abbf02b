"""Changes of a model: each function returns the changed model, with the same version."""

from collections.abc import Iterable
from dataclasses import replace

from optimization.domain.model import Model, Target
from optimization.errors import TargetDiffersError, TargetExistsError, TargetUnknownError


def with_target(model: Model, target: Target) -> Model:
    """Add a target; raises TargetExistsError if the security already has one.

    >>> from decimal import Decimal
    >>> from optimization.domain.model import DriftBand
    >>> band = DriftBand(Decimal("0.1"), Decimal("0.1"))
    >>> fund, bond = Target("F" * 24, Decimal("0.6"), band), Target("B" * 24, Decimal("0.4"), band)
    >>> len(with_target(Model("One", (fund,), ("P" * 24,)), bond).targets)
    2
    """
    if _find_target(model, target.security_id):
        raise TargetExistsError(target.security_id)
    return replace(model, targets=(*model.targets, target))


def with_replaced_target(model: Model, target: Target) -> Model:
    """Change the target of a security; a weight of 0 removes it. Raises TargetUnknownError.

    >>> from decimal import Decimal
    >>> from optimization.domain.model import DriftBand
    >>> band = DriftBand(Decimal("0.1"), Decimal("0.1"))
    >>> fund, bond = Target("F" * 24, Decimal("0.6"), band), Target("B" * 24, Decimal("0.4"), band)
    >>> model, none = Model("One", (fund,), ("P" * 24,)), Target("F" * 24, Decimal(0), band)
    >>> with_replaced_target(model, none).targets
    ()
    """
    if not _find_target(model, target.security_id):
        raise TargetUnknownError(target.security_id)
    targets = (
        target if stored.security_id == target.security_id else stored for stored in model.targets
    )
    return replace(model, targets=tuple(targets))


def without_target(model: Model, target: Target) -> Model:
    """Remove a target; raises TargetUnknownError, or TargetDiffersError if a value differs.

    >>> from decimal import Decimal
    >>> from optimization.domain.model import DriftBand
    >>> band = DriftBand(Decimal("0.1"), Decimal("0.1"))
    >>> fund, bond = Target("F" * 24, Decimal("0.6"), band), Target("B" * 24, Decimal("0.4"), band)
    >>> without_target(Model("Two", (fund, bond), ("P" * 24,)), fund).targets == (bond,)
    True
    """
    stored = _find_target(model, target.security_id)
    if stored is None:
        raise TargetUnknownError(target.security_id)
    if stored != target:
        raise TargetDiffersError(target.security_id)
    return replace(model, targets=tuple(other for other in model.targets if other != target))


def with_portfolios(model: Model, portfolio_ids: Iterable[str]) -> Model:
    """Add portfolios; those that already follow the model are ignored.

    >>> from decimal import Decimal
    >>> from optimization.domain.model import DriftBand
    >>> band = DriftBand(Decimal("0.1"), Decimal("0.1"))
    >>> fund, bond = Target("F" * 24, Decimal("0.6"), band), Target("B" * 24, Decimal("0.4"), band)
    >>> len(with_portfolios(Model("One", (fund,), ("P" * 24,)), ("P" * 24, "Q" * 24)).portfolio_ids)
    2
    """
    return replace(
        model, portfolio_ids=tuple(dict.fromkeys((*model.portfolio_ids, *portfolio_ids)))
    )


def without_portfolios(model: Model, portfolio_ids: Iterable[str]) -> Model:
    """Remove portfolios; those that do not follow the model are ignored. At least one must remain.

    >>> from decimal import Decimal
    >>> from optimization.domain.model import DriftBand
    >>> band = DriftBand(Decimal("0.1"), Decimal("0.1"))
    >>> fund, bond = Target("F" * 24, Decimal("0.6"), band), Target("B" * 24, Decimal("0.4"), band)
    >>> model = Model("One", (fund,), ("P" * 24, "Q" * 24))
    >>> without_portfolios(model, ("Q" * 24,)).portfolio_ids == ("P" * 24,)
    True
    """
    gone = frozenset(portfolio_ids)
    remaining = tuple(portfolio for portfolio in model.portfolio_ids if portfolio not in gone)
    return replace(model, portfolio_ids=remaining)


def _find_target(model: Model, security_id: str) -> Target | None:
    return next((target for target in model.targets if target.security_id == security_id), None)
