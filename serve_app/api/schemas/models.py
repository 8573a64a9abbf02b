"""Models: bodies of requests and answers, and conversions from and to the domain.

Bodies of the original's routes ignore unknown fields, because its clients send some.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, NotRequired

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from typing_extensions import TypedDict

from optimization import Model, RebalanceOptions
from serve_app.api.schemas.fields import (
    PORTFOLIO,
    WHOLE,
    DocumentedAs,
    GlobecoIdentifier,
    InstantText,
    ObjectIdentifier,
)
from serve_app.api.schemas.general_fields import AnyIdentifier
from serve_app.api.schemas.options import RebalanceOptionsBody, build_options, options_json
from serve_app.api.schemas.positions import (
    POSITION,
    GeneralPositionAnswer,
    GivenPosition,
    PositionAnswer,
    PositionBody,
    build_targets,
    position_json,
)
from serve_app.api.schemas.rules_in_force import ByRules, rules_in_force
from serve_app.api.schemas.stored_fields import several_ids
from serve_app.json_text import Json
from storage.instants import format_instant

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)]
Version = Annotated[int, Field(ge=1, lt=2**31), WHOLE]


def _example(**values: Any) -> ConfigDict:
    return ConfigDict(extra="ignore", json_schema_extra={"examples": [values]})


def _text(value: object) -> object:
    if isinstance(value, str | None):
        return value
    raise ValueError("a date is a string such as 2026-11-23T09:30:00.000Z")


# Text only, because pydantic would guess whether a number counts seconds or milliseconds.
Instant = Annotated[datetime, BeforeValidator(_text)]
POSTED: Json = {"name": "Growth", "positions": [POSITION], "portfolios": [PORTFOLIO]}


class ModelPost(BaseModel):
    """A new model; the targets may sum to 0.95."""

    model_config = _example(**POSTED)

    name: Name
    positions: list[PositionBody] = []
    portfolios: Annotated[list[GlobecoIdentifier], Field(min_length=1)]
    rebalance_options: RebalanceOptionsBody | None = Field(
        None, description="default options of a rebalance of the model"
    )


class ModelPut(ModelPost):
    """A whole model, and the version that it replaces."""

    model_config = _example(**POSTED, version=1)

    last_rebalance_date: Instant | None = None
    version: Version


class GeneralModelPost(BaseModel):
    """A new model under the general rules; the targets may sum to 1."""

    model_config = _example(**POSTED)

    name: Name
    positions: list[GivenPosition] = []
    portfolios: Annotated[list[AnyIdentifier], Field(min_length=1)]
    rebalance_options: RebalanceOptionsBody | None = Field(
        None, description="default options of a rebalance of the model"
    )


class GeneralModelPut(GeneralModelPost):
    """A whole model under the general rules, and the version that it replaces."""

    model_config = _example(**POSTED, version=1)

    last_rebalance_date: Instant | None = None
    version: Version


NewModel = Annotated[ModelPost, ByRules(ModelPost, GeneralModelPost)]
Replacement = Annotated[ModelPut, ByRules(ModelPut, GeneralModelPut)]


class PortfoliosBody(BaseModel):
    """Portfolio ids."""

    model_config = _example(portfolios=[PORTFOLIO])

    portfolios: Annotated[list[str], several_ids(min_length=1)]


class ModelAnswer(TypedDict):
    """A stored model."""

    model_id: ObjectIdentifier
    name: str
    positions: Annotated[
        list[GeneralPositionAnswer],
        ByRules(list[PositionAnswer], list[GeneralPositionAnswer]),
    ]
    portfolios: Annotated[list[str], several_ids()]
    last_rebalance_date: InstantText | None
    version: int
    rebalance_options: NotRequired[Annotated[Json, DocumentedAs(RebalanceOptionsBody | None)]]


def build_model(body: ModelPost | GeneralModelPost) -> Model:
    """Convert a request to a new model."""
    targets = build_targets(body.positions)
    options = None
    if body.rebalance_options is not None:
        options = build_options(body.rebalance_options).apply_to(RebalanceOptions())
        for place, security_id in options.named_ids():
            rules_in_force().check_identifier(("rebalance_options", *place), security_id)
    return Model(body.name, targets, tuple(body.portfolios), options=options)


def build_replacement(model_id: str, body: ModelPut | GeneralModelPut) -> Model:
    """Convert a request to the model that replaces version ``body.version``."""
    new = build_model(body)
    return Model(
        new.name,
        new.targets,
        new.portfolio_ids,
        version=body.version,
        model_id=model_id,
        last_rebalance_date=_assume_utc(body.last_rebalance_date),
        options=new.options,
    )


def model_json(model: Model) -> ModelAnswer:
    """Build a model as an answer shows it."""
    answer: ModelAnswer = {
        "model_id": str(model.model_id),
        "name": model.name,
        "positions": [position_json(target) for target in model.targets],
        "portfolios": list(model.portfolio_ids),
        "last_rebalance_date": format_instant(model.last_rebalance_date),
        "version": model.version,
    }
    # Left out without options, because clients of the original do not know the member.
    if model.options is not None:
        answer["rebalance_options"] = options_json(model.options)
    return answer


def _assume_utc(value: datetime | None) -> datetime | None:
    """Read a date without a zone as UTC, because the original does."""
    return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value
