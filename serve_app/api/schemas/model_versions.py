"""Versions of models as answers show them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import Field
from typing_extensions import TypedDict

from optimization import RebalanceOptions
from serve_app.api.schemas.fields import InstantText, ObjectIdentifier
from serve_app.api.schemas.models import ModelAnswer, model_json
from serve_app.api.schemas.options import options_json
from serve_app.api.schemas.positions import GeneralPositionAnswer, PositionAnswer, position_json
from serve_app.api.schemas.rules_in_force import ByRules
from storage.instants import format_instant
from storage.models.history import FieldValue, ModelChanges, ModelVersion

_NAMES: Final[Mapping[str, str]] = {"options": "rebalance_options"}


class FieldChange(TypedDict):
    """A field of a model before and after a change; null is unset."""

    field: Annotated[str, Field(description="name, rebalance_options or last_rebalance_date")]
    before: Any
    after: Any


Position = Annotated[GeneralPositionAnswer, ByRules(PositionAnswer, GeneralPositionAnswer)] | None


class PositionChange(TypedDict):
    """A position before and after a change; null for a security that was added or removed."""

    security_id: str
    before: Position
    after: Position


class ModelChangesAnswer(TypedDict):
    """Differences from the version before; the lists of portfolios have the first 100 ids."""

    fields: list[FieldChange]
    positions: list[PositionChange]
    portfolios_added: list[str]
    portfolios_removed: list[str]
    number_of_portfolios_added: int
    number_of_portfolios_removed: int


class ModelVersionAnswer(TypedDict):
    """A version of a model: who made it, when, and what it changed."""

    model_id: ObjectIdentifier
    version: int
    name: str
    at: InstantText
    principal: Annotated[str | None, Field(description="who made it; null is not known")]
    correlation_id: str | None
    changes: Annotated[
        ModelChangesAnswer | None, Field(description="null for the first stored version")
    ]


class WholeModelVersionAnswer(ModelVersionAnswer):
    """A version of a model, with the model as it was."""

    model: ModelAnswer


def version_json(version: ModelVersion) -> ModelVersionAnswer:
    """Build a version of a model without the model."""
    return {
        "model_id": version.model_id,
        "version": version.version,
        "name": version.name,
        "at": format_instant(version.at),
        "principal": version.author.principal,
        "correlation_id": version.author.correlation_id,
        "changes": None if version.changes is None else _changes_json(version.changes),
    }


def whole_version_json(version: ModelVersion) -> WholeModelVersionAnswer:
    """Build a version of a model with the model."""
    assert version.model is not None
    return {**version_json(version), "model": model_json(version.model)}


def _changes_json(changes: ModelChanges) -> ModelChangesAnswer:
    return {
        "fields": [
            {
                "field": _NAMES.get(field, field),
                "before": _value_json(before),
                "after": _value_json(after),
            }
            for field, (before, after) in changes.fields.items()
        ],
        "positions": [
            {
                "security_id": security_id,
                "before": None if before is None else position_json(before),
                "after": None if after is None else position_json(after),
            }
            for security_id, (before, after) in changes.positions.items()
        ],
        "portfolios_added": list(changes.portfolios_added),
        "portfolios_removed": list(changes.portfolios_removed),
        "number_of_portfolios_added": changes.number_of_portfolios_added,
        "number_of_portfolios_removed": changes.number_of_portfolios_removed,
    }


def _value_json(value: FieldValue) -> Any:
    if isinstance(value, datetime):
        return format_instant(value)
    return options_json(value) if isinstance(value, RebalanceOptions) else value
