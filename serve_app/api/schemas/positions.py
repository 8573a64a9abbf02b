"""Positions: one line of a model, as GlobeCo's clients and as anybody's data have it."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, NotRequired, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from optimization import DriftBand, RelativeBand, Target, relative_band, weight_text
from optimization.errors import RuleError
from serve_app.api.schemas.fields import (
    FRACTION,
    MAX_DECIMAL_PLACES,
    SECURITY,
    DecimalText,
    GlobecoIdentifier,
    describe_number,
)
from serve_app.api.schemas.general_fields import (
    AnyIdentifier,
    Part,
    WeightOrFraction,
    WeightText,
)
from serve_app.api.schemas.rules_in_force import ByRules, rules_in_force
from serve_app.json_text import Json, plain

Drift = Annotated[
    Decimal, Field(ge=0, le=1, decimal_places=MAX_DECIMAL_PLACES), describe_number(FRACTION, 0, 1)
]
# Every multiple of 0.005 up to 0.95, with any number of trailing zeros.
WEIGHT = r"^0(\.([0-9]|([0-8][0-9]|9[0-4])([05]0{0,7})?|950{0,8}))?$"
POSITION: Json = {
    "security_id": SECURITY,
    "target": "0.25",
    "high_drift": "0.02",
    "low_drift": "0.02",
}
TWO_BANDS = "a band is low_drift and high_drift, or relative_drift without them"


class PositionBody(BaseModel):
    """One line of a model; numbers may be JSON strings or JSON numbers."""

    model_config = ConfigDict(extra="ignore", json_schema_extra={"examples": [POSITION]})

    security_id: GlobecoIdentifier
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

    @property
    def band(self) -> DriftBand:
        """Band in parts of market value."""
        return DriftBand(self.low_drift, self.high_drift)


class GivenPosition(BaseModel):
    """One line of the model; the band is two drifts, or relative to the target."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [POSITION]})

    security_id: AnyIdentifier
    target: Annotated[
        WeightOrFraction,
        Field(description="in parts of market value; up to 12 decimals, or a fraction"),
    ]
    low_drift: Annotated[
        Part | None, Field(description="how far below the target, in parts of market value")
    ] = None
    high_drift: Annotated[
        Part | None,
        Field(description="how far above the target; less than low_drift makes the band a cap"),
    ] = None
    relative_drift: Annotated[
        Part | None, Field(description="how far on both sides, in parts of the target")
    ] = None
    absolute_drift: Annotated[
        Part | None,
        Field(description="upper limit of the band in parts of market value, with relative_drift"),
    ] = None

    @model_validator(mode="after")
    def _one_band(self) -> Self:
        sides = self.low_drift is not None, self.high_drift is not None
        if self.relative_drift is None:
            if self.absolute_drift is not None:
                raise PydanticCustomError("band", "absolute_drift requires relative_drift")
            if not all(sides):
                raise PydanticCustomError("band", TWO_BANDS)
        elif any(sides):
            raise PydanticCustomError("band", TWO_BANDS)
        return self

    @property
    def band(self) -> DriftBand:
        """Band in parts of market value, whichever way it was given."""
        if self.relative_drift is not None:
            return relative_band(self.target, self.relative_drift, self.absolute_drift)
        assert self.low_drift is not None
        assert self.high_drift is not None
        return DriftBand(self.low_drift, self.high_drift)


AnyPosition = PositionBody | GivenPosition
NewPosition = Annotated[PositionBody, ByRules(PositionBody, GivenPosition)]


class PositionAnswer(TypedDict):
    """One line of a model."""

    security_id: GlobecoIdentifier
    target: DecimalText
    high_drift: DecimalText
    low_drift: DecimalText


class GeneralPositionAnswer(TypedDict):
    """One line of a model, with the band as it was given."""

    security_id: AnyIdentifier
    target: WeightText
    high_drift: NotRequired[DecimalText]
    low_drift: NotRequired[DecimalText]
    relative_drift: NotRequired[DecimalText]
    absolute_drift: NotRequired[DecimalText]


def build_target(body: AnyPosition) -> Target:
    """Convert a position of a stored model to a target under the rules in force."""
    target = Target(body.security_id, body.target, body.band)
    rules_in_force().check_target(target)
    return target


def build_targets(positions: Sequence[AnyPosition]) -> tuple[Target, ...]:
    """Convert the positions of a request; an error names the invalid one."""
    return tuple(_build_indexed_target(index, position) for index, position in enumerate(positions))


def _build_indexed_target(index: int, position: AnyPosition) -> Target:
    try:
        return build_target(position)
    except RuleError as error:
        raise RuleError(("targets", index, *error.field), error.value, error.rule) from error


def position_json(target: Target) -> GeneralPositionAnswer:
    """Build a position as an answer shows it, with the band as it was given."""
    band = target.band
    answer: dict[str, Any] = {
        "security_id": target.security_id,
        "target": weight_text(target.weight),
    }
    if not isinstance(band, RelativeBand):
        answer["high_drift"] = weight_text(band.high)
        answer["low_drift"] = weight_text(band.low)
        return GeneralPositionAnswer(**answer)
    answer["relative_drift"] = plain(band.relative)
    if band.absolute is not None:
        answer["absolute_drift"] = plain(band.absolute)
    return GeneralPositionAnswer(**answer)
