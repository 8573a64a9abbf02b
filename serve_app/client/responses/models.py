"""Models and their versions, as the service stores them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from serve_app.client.responses.positions import Weight


@dataclass(frozen=True, slots=True)
class Position:
    """One line of a model; its band is high and low drift, in fractions of market value.

    Under the general rules it may be a drift relative to the target instead, at most
    ``absolute_drift`` of market value.
    """

    security_id: str
    target: Weight
    high_drift: Weight | None = None
    low_drift: Weight | None = None
    relative_drift: Decimal | None = None
    absolute_drift: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A model as it is stored."""

    model_id: str
    name: str
    positions: tuple[Position, ...]
    portfolios: tuple[str, ...]
    last_rebalance_date: datetime | None
    version: int
    rebalance_options: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field of a model before and after a change."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class PositionChange:
    """A position before and after a change; None for a security that was added or removed."""

    security_id: str
    before: Position | None
    after: Position | None


@dataclass(frozen=True, slots=True)
class ModelChanges:
    """Differences from the version before; the lists of portfolios have the first 100 ids."""

    fields: tuple[FieldChange, ...]
    positions: tuple[PositionChange, ...]
    portfolios_added: tuple[str, ...]
    portfolios_removed: tuple[str, ...]
    number_of_portfolios_added: int
    number_of_portfolios_removed: int


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version of a model; ``changes`` is None for the first stored version."""

    model_id: str
    version: int
    name: str
    at: datetime
    principal: str | None
    correlation_id: str | None
    changes: ModelChanges | None


@dataclass(frozen=True, slots=True)
class WholeModelVersion(ModelVersion):
    """A version of a model, with the model as it was."""

    model: Model
