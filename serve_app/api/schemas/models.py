"""Models: bodies of requests and answers, and conversions from and to the domain.

Bodies of the original's routes ignore unknown fields, because its clients send some.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, NotRequired

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from typing_extensions import TypedDict

from optimization import GLOBECO, DriftBand, Model, RebalanceOptions, Target, weight_text
from optimization.errors import RuleError
from serve_app.api.schemas.fields import (
    FRACTION,
    MAX_DECIMAL_PLACES,
    PORTFOLIO,
    SECURITY,
    WHOLE,
    DecimalText,
    DocumentedAs,
    Identifier,
    InstantText,
    ObjectIdentifier,
    describe_number,
)
from serve_app.api.schemas.options import RebalanceOptionsBody, options_json, options_of
from serve_app.json_text import Json, instant

Drift = Annotated[
    Decimal, Field(ge=0, le=1, decimal_places=MAX_DECIMAL_PLACES), describe_number(FRACTION, 0, 1)
]
# Every multiple of 0.005 up to 0.95, with any number of trailing zeros.
WEIGHT = r"^0(\.([0-9]|([0-8][0-9]|9[0-4])([05]0{0,7})?|950{0,8}))?$"
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
POSITION = {
    "security_id": SECURITY,
    "target": "0.25",
    "high_drift": "0.02",
    "low_drift": "0.02",
}
POSTED: Json = {"name": "Growth", "positions": [POSITION], "portfolios": [PORTFOLIO]}


class PositionBody(BaseModel):
    """One line of a model; numbers may be JSON strings or JSON numbers."""

    model_config = _example(**POSITION)

    security_id: Identifier
    target: Annotated[
        Decimal,
        Field(
            ge=0,
            le=Decimal("0.95"),
            decimal_places=MAX_DECIMAL_PLACES,
            description="0, or a multiple of 0.005",
        ),
        describe_number(WEIGHT, 0, 0.95),
    ]
    high_drift: Annotated[
        Drift, Field(description="how far above the target, in parts of market value")
    ]
    low_drift: Annotated[Drift, Field(description="how far below the target; at most high_drift")]


class ModelPost(BaseModel):
    """A new model; the targets may sum to 0.95."""

    model_config = _example(**POSTED)

    name: Name
    positions: list[PositionBody] = []
    portfolios: Annotated[list[Identifier], Field(min_length=1)]
    rebalance_options: RebalanceOptionsBody | None = Field(
        None, description="default options of a rebalance of the model"
    )


class ModelPut(ModelPost):
    """A whole model, and the version that it replaces."""

    model_config = _example(**POSTED, version=1)

    last_rebalance_date: Instant | None = None
    version: Version


class PortfoliosBody(BaseModel):
    """Portfolio ids."""

    model_config = _example(portfolios=[PORTFOLIO])

    portfolios: Annotated[list[Identifier], Field(min_length=1)]


class PositionAnswer(TypedDict):
    """One line of a model."""

    security_id: Identifier
    target: DecimalText
    high_drift: DecimalText
    low_drift: DecimalText


class ModelAnswer(TypedDict):
    """A stored model."""

    model_id: ObjectIdentifier
    name: str
    positions: list[PositionAnswer]
    portfolios: list[Identifier]
    last_rebalance_date: InstantText | None
    version: int
    rebalance_options: NotRequired[Annotated[Json, DocumentedAs(RebalanceOptionsBody | None)]]


def target_of(body: PositionBody) -> Target:
    """Convert a position of a stored model to a target."""
    band = DriftBand(body.low_drift, body.high_drift)
    target = Target(body.security_id, body.target, band)
    GLOBECO.check_target(target)
    return target


def targets_of(positions: Sequence[PositionBody]) -> tuple[Target, ...]:
    """Convert the positions of a request; an error names the invalid one."""
    return tuple(_target_at(index, position) for index, position in enumerate(positions))


def model_of(body: ModelPost) -> Model:
    """Convert a request to a new model."""
    targets = targets_of(body.positions)
    options = None
    if body.rebalance_options is not None:
        options = options_of(body.rebalance_options).apply_to(RebalanceOptions())
        for place, security_id in options.named_ids():
            GLOBECO.check_identifier(("rebalance_options", *place), security_id)
    return Model(body.name, targets, tuple(body.portfolios), options=options)


def replacement_of(model_id: str, body: ModelPut) -> Model:
    """Convert a request to the model that replaces version ``body.version``."""
    new = model_of(body)
    return Model(
        new.name,
        new.targets,
        new.portfolio_ids,
        version=body.version,
        model_id=model_id,
        last_rebalance_date=_in_utc(body.last_rebalance_date),
        options=new.options,
    )


def model_json(model: Model) -> ModelAnswer:
    """Build a model as an answer shows it."""
    answer: ModelAnswer = {
        "model_id": str(model.model_id),
        "name": model.name,
        "positions": [_position_json(target) for target in model.targets],
        "portfolios": list(model.portfolio_ids),
        "last_rebalance_date": instant(model.last_rebalance_date),
        "version": model.version,
    }
    # Left out without options, because clients of the original do not know the member.
    if model.options is not None:
        answer["rebalance_options"] = options_json(model.options)
    return answer


def _target_at(index: int, position: PositionBody) -> Target:
    try:
        return target_of(position)
    except RuleError as error:
        raise RuleError(("targets", index, *error.field), error.value, error.rule) from error


def _position_json(target: Target) -> PositionAnswer:
    return {
        "security_id": target.security_id,
        "target": weight_text(target.weight),
        "high_drift": weight_text(target.band.high),
        "low_drift": weight_text(target.band.low),
    }


def _in_utc(value: datetime | None) -> datetime | None:
    """Read a date without a zone as UTC, because the original does."""
    return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value
