"""Body of POST /optimize: everything that a rebalance needs."""

import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from optimization import (
    NO_OVERRIDES,
    Model,
    OptionOverrides,
    RebalanceOptions,
    Target,
    is_identifier,
)
from optimization.errors import RuleError, UnmatchedIdsError
from serve_app.api.schemas.fields import PORTFOLIO, SECURITY
from serve_app.api.schemas.general_fields import (
    Amount,
    AnyIdentifier,
    Price,
)
from serve_app.api.schemas.models import Name
from serve_app.api.schemas.options import OPTIONS, RebalanceOptionsBody, build_options
from serve_app.api.schemas.positions import POSITION, GivenPosition
from serve_app.json_text import AmbiguousTextError, Json, decode, json_errors
from serve_app.ports.optimize import GivenOptions

MAX_PORTFOLIOS = 1_000
MAX_HOLDINGS = 5_000
MAX_PRICES = 50_000
MAX_ERRORS = 20  # because each of half a million holdings may be wrong
MAX_KNOWN_AMOUNTS = 16_384  # texts, about 3 MB
NUMBERS, TEXT = frozenset({int, str, Decimal}), frozenset({str})
Place = tuple[str | int, ...]
# These may name any priced security, because they describe securities and not holdings.
OF_A_UNIVERSE = ("lots", "groups")

OWNED: Json = {
    "portfolio_id": PORTFOLIO,
    "cash": "10000.00",
    "holdings": {SECURITY: 120},
}
ASKED: Json = {
    "model": {"name": "Growth", "positions": [POSITION]},
    "prices": {SECURITY: "31.50"},
    "portfolios": [OWNED],
    "options": OPTIONS,
}


def _strict(**example: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [example]})


class GivenModel(BaseModel):
    """A model under the general rules; it need not be stored.

    Targets sum to at most 1, and at most 5,000 of them are above 0.
    """

    model_config = _strict(**ASKED["model"])

    name: Name = "given"
    positions: list[GivenPosition]


_is_known: Callable[[str], bool] = lru_cache(MAX_PRICES)(is_identifier)
_amount_of: Callable[[str], Decimal] = lru_cache(MAX_KNOWN_AMOUNTS)(
    TypeAdapter[Decimal](Amount).validate_python
)


def _read_holdings(value: object, read: ValidatorFunctionWrapHandler) -> dict[str, Decimal]:
    """Read holdings whose ids and amounts mostly were read before; leave all errors to ``read``.

    The framework takes more than a microsecond a holding, and a long body has half a million.
    """
    if type(value) is dict and len(value) <= MAX_HOLDINGS:
        held = cast("dict[str, object]", value)
        if NUMBERS.issuperset(map(type, held.values())) and TEXT.issuperset(map(type, held)):
            # Amounts are cached by their text, because equal Decimals may have different digits.
            with suppress(ValidationError):
                amounts = list(map(_amount_of, map(str, held.values())))
                if all(map(_is_known, held)):
                    return dict(zip(held, amounts, strict=True))
    return read(value)


class GivenPortfolio(BaseModel):
    """Cash and holdings of one portfolio; holdings may be fractional or negative."""

    model_config = _strict(**OWNED)

    portfolio_id: AnyIdentifier
    cash: Annotated[Amount, Field(description="in currency; negative if overdrawn")]
    holdings: Annotated[
        dict[AnyIdentifier, Amount],
        Field(max_length=MAX_HOLDINGS, description="shares by security id"),
        WrapValidator(_read_holdings),
    ]
    options: Annotated[
        RebalanceOptionsBody | None,
        Field(description="options of this portfolio, each in place of the call's"),
    ] = None


class OptimizeBody(BaseModel):
    """A model, portfolios to rebalance to it, and prices of all securities of both."""

    model_config = _strict(**ASKED)

    model: GivenModel
    prices: Annotated[
        dict[AnyIdentifier, Price],
        Field(
            max_length=MAX_PRICES,
            description="in currency, by security id; a price of 0 counts as missing",
        ),
    ]
    portfolios: Annotated[list[GivenPortfolio], Field(min_length=1, max_length=MAX_PORTFOLIOS)]
    options: RebalanceOptionsBody | None = None


class BodyRefusedError(Exception):
    """Violations in a body that another process read, as the framework lists them."""

    def __init__(self, errors: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(errors)
        self.errors = errors


def parse_body(text: bytes) -> OptimizeBody:
    """Parse a JSON text; raises BodyRefusedError."""
    return _validate(decode_body(text))


def decode_body(text: bytes) -> Any:
    """Decode a JSON text; raises BodyRefusedError."""
    try:
        return decode(text)
    except (json.JSONDecodeError, AmbiguousTextError) as error:
        raise BodyRefusedError(json_errors(error)) from error


def _validate(document: Any) -> OptimizeBody:
    try:
        return OptimizeBody.model_validate(document)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        faults = errors[:MAX_ERRORS]
        raise BodyRefusedError(
            [{**fault, "loc": ("body", *fault["loc"])} for fault in faults]
        ) from error


def convert_model(body: OptimizeBody) -> Model:
    """Convert to the model with its portfolios; raises RuleError with the place in the body."""
    ids = tuple(portfolio.portfolio_id for portfolio in body.portfolios)
    _require_unique(ids)
    try:
        targets = tuple(
            _build_target(index, position) for index, position in enumerate(body.model.positions)
        )
        return Model(body.model.name, targets, ids)
    except RuleError as error:
        raise RuleError(("model", *error.field), error.value, error.rule) from error


@dataclass(frozen=True, slots=True)
class KnownIds:
    """The securities that a request knows: held by a portfolio or in the model, and priced."""

    held: Container[str]
    priced: Container[str]


def convert_options(body: OptimizeBody, held: Iterable[str] = ()) -> GivenOptions:
    """Convert the options, each of them checked; ``held`` are ids that other portfolios hold.

    Raises RuleError and UnmatchedIdsError with the place in the body, and OptionsConflictError.
    """
    common = build_options(body.options)
    known = {position.security_id for position in body.model.positions}
    known.update(held, *(portfolio.holdings for portfolio in body.portfolios))
    names = KnownIds(known, body.prices)
    unmatched = [*_check_options(("options",), common, NO_OVERRIDES, names)]
    own: dict[str, OptionOverrides] = {}
    for index, portfolio in enumerate(body.portfolios):
        if portfolio.options is not None:
            options = own[portfolio.portfolio_id] = build_options(portfolio.options)
            unmatched += _check_options(("portfolios", index, "options"), options, common, names)
    if unmatched:
        raise UnmatchedIdsError(tuple(unmatched))
    return GivenOptions(common, own)


def _check_options(
    place: Place, options: OptionOverrides, common: OptionOverrides, names: KnownIds
) -> Iterator[tuple[Place, str]]:
    """Check options merged over ``common``; returns unknown ids of their restrictions."""
    if "open_orders" in options.values:
        rule = "POST /optimize knows no orders: include them in holdings and cash"
        raise RuleError((*place, "open_orders"), options.values["open_orders"], rule)
    # Merged, because an option may conflict with one of the call's.
    try:
        common.override_by(options).apply_to(RebalanceOptions())
    except RuleError as error:
        raise RuleError((*place, *error.field), error.value, error.rule) from error
    # Unmerged options, because an id is reported at the place where the request has it.
    for path, security_id in options.restrictions.find_unmatched(names.held):
        if path[0] not in OF_A_UNIVERSE or security_id not in names.priced:
            yield (*place, *path), security_id


def _build_target(index: int, position: GivenPosition) -> Target:
    try:
        return Target(position.security_id, position.target, position.band)
    except RuleError as error:
        raise RuleError(("targets", index, *error.field), error.value, error.rule) from error


def _require_unique(portfolio_ids: tuple[str, ...]) -> None:
    seen: set[str] = set()
    for index, portfolio_id in enumerate(portfolio_ids):
        if portfolio_id in seen:
            place = ("portfolios", index, "portfolio_id")
            raise RuleError(place, portfolio_id, "a request may have each portfolio only once")
        seen.add(portfolio_id)
