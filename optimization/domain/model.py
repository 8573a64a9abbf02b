"""Model and Target: an investment model, validated on construction."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias, overload

from optimization.domain.drift_band import DriftBand, relative_band
from optimization.domain.numbers import Number, Weight, read_weight
from optimization.domain.options import RebalanceOptions
from optimization.domain.rules import (
    BAND_RULE,
    GENERAL,
    OPTIONS_RULE,
    are_ordinary,
    read_items,
    require_identifier,
    require_type,
    require_visible,
)
from optimization.errors import EmptyModelError, OptionsConflictError, RuleError

MAX_NAME_LENGTH = 255
WEIGHTS_RULE = "a model is made of weights, such as Model({'VTI': 0.6, 'BND': 0.4}, band=0.05)"
BY_NAME_RULE = "beside weights everything is given by name, such as band=0.05"
TARGETS_RULE = "targets are a list of Target, or give weights: Model({'VTI': 0.6}, band=0.05)"
IDS_RULE = "portfolio ids are a list of texts, such as ['ira', '401k']"


@dataclass(frozen=True, slots=True)
class Target:
    """Line of a model: the target weight of a security, as a fraction of market value.

    The weight is a number of up to 12 decimals from 0 to 1, or a fraction ("1/3"); it is kept as a
    Decimal or a Fraction. RuleError for another weight, and for an id that is not 1 to 64 printable
    characters.

    >>> Target("VTI", 0.25, DriftBand(0, 0.01)).weight
    Decimal('0.25')
    """

    security_id: str
    weight: Weight
    band: DriftBand
    if TYPE_CHECKING:

        def __init__(self, security_id: str, weight: Number, band: DriftBand) -> None: ...

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", read_weight(self.weight, ("weight",)))
        require_type(("band",), self.band, DriftBand, BAND_RULE)
        GENERAL.check_target(self)


Band: TypeAlias = DriftBand | Number | tuple[Number, Number]
"""A band: one number for both sides, or low and high."""


@dataclass(frozen=True, slots=True)
class _ModelFields:
    """Fields of a model, and the initializer that binds them."""

    name: str
    targets: tuple[Target, ...]
    portfolio_ids: tuple[str, ...]
    version: int = 1
    model_id: str | None = None
    last_rebalance_date: datetime | None = None
    options: RebalanceOptions | None = None


@dataclass(frozen=True, slots=True, init=False)
class Model(_ModelFields):
    """Target weights and the portfolios that follow them, within the general rules.

    From weights by security: ``Model({"VTI": 0.6, "BND": 0.4}, band=0.05)``. ``band`` is the
    tolerance around every target as a fraction of market value: a number, (low, high), or one of
    those by security. ``relative_drift`` makes it a fraction of the target instead, at most
    ``absolute_drift``. The weights sum to 1 at most; the rest is cash.

    From targets: ``Model(name, targets, portfolio_ids, ...)``. A target of zero is dropped, the
    name is trimmed. ``version`` counts changes of the model; a rebalance only sets
    ``last_rebalance_date``. The store assigns ``model_id``. ``options`` are the defaults of
    every rebalance of the model.

    Raises RuleError, which names the security and the rule (see ``GENERAL``).

    >>> model = Model({"VTI": 0.6, "BND": "1/3"}, band=0.05)
    >>> [(target.security_id, str(target.weight), str(target.band.low)) for target in model.targets]
    [('VTI', '0.6', '0.05'), ('BND', '1/3', '0.05')]
    >>> band = DriftBand(0.01, 0.02)
    >>> Model(" Growth ", (Target("VTI", 0.6, band),), ("P1",)).name
    'Growth'
    """

    @overload
    def __init__(
        self,
        name: str,
        targets: Sequence[Target],
        portfolio_ids: Sequence[str],
        version: int = 1,
        model_id: str | None = None,
        last_rebalance_date: datetime | None = None,
        options: RebalanceOptions | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self,
        weights: Mapping[str, Number],
        /,
        *,
        band: Band | Mapping[str, Band] | None = None,
        relative_drift: Number | None = None,
        absolute_drift: Number | None = None,
        name: str = "Model",
        portfolio_ids: Sequence[str] = ("portfolio",),
        options: RebalanceOptions | None = None,
    ) -> None: ...

    def __init__(self, *values: Any, **fields: Any) -> None:
        if values and isinstance(values[0], Mapping):
            if len(values) > 1:
                raise RuleError(("band",), values[1], BY_NAME_RULE)
            fields, values = _read_weights(*values, **fields), ()
        elif values and (len(values) == 1 or not isinstance(values[0], str)):
            require_type(("weights",), values[0], Mapping, WEIGHTS_RULE)
        _ModelFields.__init__(self, *values, **fields)
        self._require_rules()

    def _require_rules(self) -> None:
        self._require_types()
        name = self.name.strip()
        if not 1 <= len(name) <= MAX_NAME_LENGTH:
            raise RuleError(("name",), self.name, "a name has 1 to 255 characters")
        require_visible(("name",), name)
        if self.version < 1:
            raise RuleError(("version",), self.version, "a version is at least 1")
        targets = self.targets
        _require_targets(targets)
        _require_portfolios(self.portfolio_ids)
        object.__setattr__(self, "name", name)
        if not all(target.weight > 0 for target in targets):
            targets = tuple(target for target in targets if target.weight > 0)
        object.__setattr__(self, "targets", targets)

    def _require_types(self) -> None:
        require_type(("name",), self.name, str, "a name is a text")
        require_type(("version",), self.version, int, "a version is a whole number")
        targets = read_items(("targets",), self.targets, Target, TARGETS_RULE)
        object.__setattr__(self, "targets", targets)
        portfolio_ids = read_items(("portfolio_ids",), self.portfolio_ids, str, IDS_RULE)
        object.__setattr__(self, "portfolio_ids", portfolio_ids)
        if self.options is not None:
            require_type(("options",), self.options, RebalanceOptions, OPTIONS_RULE)


def _read_weights(
    weights: Mapping[str, Number],
    /,
    *,
    band: Band | Mapping[str, Band] | None = None,
    relative_drift: Number | None = None,
    absolute_drift: Number | None = None,
    name: str = "Model",
    portfolio_ids: Sequence[str] = ("portfolio",),
    options: RebalanceOptions | None = None,
) -> dict[str, Any]:
    if (band is None) == (relative_drift is None):
        rule = "give one of the two: band=0.05 (of market value) or relative_drift=0.25 (of target)"
        raise RuleError(("band",), band, rule)
    if absolute_drift is not None and relative_drift is None:
        rule = "an absolute drift bounds a relative one: give relative_drift too, or band alone"
        raise RuleError(("absolute_drift",), absolute_drift, rule)
    targets: list[Target] = []
    for security_id, value in weights.items():
        weight = read_weight(value, ("targets", security_id))
        if relative_drift is not None:
            drift_band = relative_band(weight, relative_drift, absolute_drift)
        else:
            drift_band = _read_band(band, security_id)
        targets.append(Target(security_id, weight, drift_band))
    return {
        "name": name,
        "targets": targets,
        "portfolio_ids": portfolio_ids,
        "options": options,
    }


def _read_band(band: Any, security_id: str) -> DriftBand:
    """Read the band of one security, in any form that a model accepts."""
    if isinstance(band, Mapping):
        if security_id not in band:
            raise RuleError(("band", security_id), None, "every security of the model has a band")
        band = band[security_id]
    if isinstance(band, DriftBand):
        return band
    low, high = band if isinstance(band, tuple) and len(band) == 2 else (band, band)
    field = ("band", security_id)
    return DriftBand(read_weight(low, field), read_weight(high, field))


def _require_targets(targets: tuple[Target, ...]) -> None:
    twice = _find_repeated(target.security_id for target in targets)
    if twice is not None:
        rule = "each security may stand once in a model"
        raise RuleError(("targets", twice, "security_id"), targets[twice].security_id, rule)
    GENERAL.check_sum(targets)


def _require_portfolios(portfolio_ids: tuple[str, ...]) -> None:
    if not portfolio_ids:
        raise RuleError(("portfolio_ids",), [], "a model has at least one portfolio")
    if not are_ordinary(portfolio_ids):
        for index, portfolio_id in enumerate(portfolio_ids):
            require_identifier(("portfolio_ids", index), portfolio_id)
    if len(set(portfolio_ids)) == len(portfolio_ids):
        return
    twice = _find_repeated(portfolio_ids)
    if twice is not None:
        rule = "each portfolio may stand once in a model"
        raise RuleError(("portfolio_ids", twice), portfolio_ids[twice], rule)


def require_targets(targets: Collection[object], options: RebalanceOptions) -> None:
    """Refuse a model without targets unless ``liquidate`` is set: the engine would sell everything.

    Raises EmptyModelError, and OptionsConflictError if ``liquidate`` is set for a model with
    targets, because the two contradict each other.

    >>> require_targets((), RebalanceOptions(liquidate=True))
    """
    require_type(("options",), options, RebalanceOptions, OPTIONS_RULE)
    if not targets and not options.liquidate:
        raise EmptyModelError
    if targets and options.liquidate:
        detail = f"liquidate: true is for a model without a target, and this one has {len(targets)}"
        raise OptionsConflictError(detail, ("liquidate",))


def _find_repeated(values: Iterable[str]) -> int | None:
    seen: set[str] = set()
    for index, value in enumerate(values):
        if value in seen:
            return index
        seen.add(value)
    return None
