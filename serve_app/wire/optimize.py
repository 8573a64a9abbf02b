"""POST /optimize: everything that a rebalance needs, in one body."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from optimization.errors import RuleError
from optimization.model import Model
from optimization.options import RebalanceOptions
from serve_app.wire.fields import MOST_PLACES, PORTFOLIO, SECURITY, Identifier, written
from serve_app.wire.models import POSITION, Name, PositionBody, targets_of
from serve_app.wire.options import AMOUNT, MOST, RebalanceOptionsBody, options_of
from serve_app.wire.text import Json, decoded, json_invalid

MOST_PORTFOLIOS = 1_000
MOST_HOLDINGS = 5_000
MOST_PRICES = 50_000
MOST_ERRORS = 20

Amount = Annotated[
    Decimal,
    Field(ge=-MOST, le=MOST, decimal_places=MOST_PLACES),
    written(rf"^-?{AMOUNT[1:]}", -MOST, MOST),
]
Price = Annotated[
    Decimal, Field(gt=0, le=MOST, decimal_places=MOST_PLACES), written(AMOUNT, 1e-10, MOST)
]

OWNED: Json = {
    "portfolio_id": PORTFOLIO,
    "cash": "10000.00",
    "holdings": {SECURITY: 120},
}
ASKED: Json = {
    "model": {"name": "Growth", "positions": [POSITION]},
    "prices": {SECURITY: "31.50"},
    "portfolios": [OWNED],
    "options": {"cash_floor": "2%"},
}


def _strict(**example: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [example]})


class GivenPosition(PositionBody):
    """One line of the model; numbers may be JSON strings or JSON numbers."""

    model_config = _strict(**POSITION)


class GivenModel(BaseModel):
    """A model that need not be stored; the rules are those of a stored one."""

    model_config = _strict(**ASKED["model"])

    name: Name = "given"
    positions: list[GivenPosition]


class GivenPortfolio(BaseModel):
    """What one portfolio owns; shares may be fractions, and below 0 where they are short."""

    model_config = _strict(**OWNED)

    portfolio_id: Identifier
    cash: Annotated[Amount, Field(description="in currency; below 0 where it is overdrawn")]
    holdings: Annotated[
        dict[Identifier, Amount],
        Field(max_length=MOST_HOLDINGS, description="shares by security id"),
    ]


class OptimizeBody(BaseModel):
    """A model, the prices of its securities and of all holdings, and the portfolios to bring to it."""

    model_config = _strict(**ASKED)

    model: GivenModel
    prices: Annotated[
        dict[Identifier, Price],
        Field(max_length=MOST_PRICES, description="in currency by security id"),
    ]
    portfolios: Annotated[list[GivenPortfolio], Field(min_length=1, max_length=MOST_PORTFOLIOS)]
    options: RebalanceOptionsBody | None = None


class BodyRefusedError(Exception):
    """What breaks the rules of a body that was read in another process, as the framework lists it."""

    def __init__(self, errors: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(errors)
        self.errors = errors


def given(text: bytes) -> OptimizeBody:
    """The body that a JSON text holds; raises BodyRefusedError."""
    try:
        return OptimizeBody.model_validate(decoded(text))
    except json.JSONDecodeError as error:
        raise BodyRefusedError([json_invalid(error)]) from error
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        kept = found[:MOST_ERRORS]
        raise BodyRefusedError(
            [{**each, "loc": ("body", *each["loc"])} for each in kept]
        ) from error


def given_model(body: OptimizeBody) -> Model:
    """The model with the portfolios that follow it; raises RuleError with the place in the body."""
    ids = tuple(portfolio.portfolio_id for portfolio in body.portfolios)
    _require_unique(ids)
    try:
        return Model(body.model.name, targets_of(body.model.positions), ids)
    except RuleError as error:
        raise RuleError(("model", *error.field), error.value, error.rule) from error


def given_options(body: OptimizeBody) -> dict[str, Any]:
    """The options by name; raises RuleError with the place in the body, and OptionsConflictError."""
    options = options_of(body.options)
    try:
        RebalanceOptions(**options)
    except RuleError as error:
        raise RuleError(("options", *error.field), error.value, error.rule) from error
    return options


def _require_unique(portfolio_ids: tuple[str, ...]) -> None:
    seen: set[str] = set()
    for index, portfolio_id in enumerate(portfolio_ids):
        if portfolio_id in seen:
            place = ("portfolios", index, "portfolio_id")
            raise RuleError(place, portfolio_id, "each portfolio may stand once in a request")
        seen.add(portfolio_id)
