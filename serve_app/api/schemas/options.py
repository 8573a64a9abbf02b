"""RebalanceOptions as JSON: in requests, and as defaults of models."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    StrictBool,
    TypeAdapter,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from optimization import (
    EXACT,
    NO_OVERRIDES,
    BandRule,
    Direction,
    GroupBand,
    OpenOrders,
    OptionOverrides,
    Percent,
    RebalanceOptions,
    Scope,
)
from serve_app.api.schemas.fields import WHOLE, ObjectIdentifier, describe_number
from serve_app.api.schemas.general_fields import (
    AMOUNT,
    MAX_AMOUNT,
    MAX_DECIMALS,
    Amount,
    AnyIdentifier,
    Part,
    limit_decimals,
)
from serve_app.json_text import Json, plain

MAX_SECURITY_IDS = 5_000  # because a model has no more positions
AMOUNTS = frozenset(
    {"cash_floor", "cash_ceiling", "turnover_cap", "minimum_value", "maximum_value"}
)
DEFAULTS = RebalanceOptions()
OPTIONS: Json = {"cash_floor": "2%", "maximum_trades": 10}

PERCENT = re.compile(r"[0-9]{1,6}(\.[0-9]{1,8})?%")
Money = Annotated[
    Decimal,
    Field(ge=0, le=MAX_AMOUNT),
    limit_decimals(MAX_DECIMALS),
    describe_number(AMOUNT, 0, MAX_AMOUNT),
]
MONEY = TypeAdapter[Decimal](Money)


def _amount_or_percent(value: object) -> Decimal | Percent:
    """Read a percentage such as "2.5%", an amount in currency, or {"amount": "0.02"}."""
    if isinstance(value, str) and PERCENT.fullmatch(value):
        return Percent(Decimal(value[:-1]))
    if isinstance(value, Mapping):
        members = cast("Mapping[str, object]", value)
        if list(members) != ["amount"]:
            raise PydanticCustomError("amount", 'an amount in currency is {"amount": "0.02"}')
        return MONEY.validate_python(members["amount"])
    amount = MONEY.validate_python(value)
    if 0 < amount < 1:
        part, percent = plain(amount), plain(EXACT.scaleb(amount, 2).normalize(EXACT))
        raise PydanticCustomError(
            "ambiguous",
            'an amount between 0 and 1 may mean a part: write "{percent}%" for {percent} percent '
            'of market value, or {"amount": "{part}"} for {part} in currency',
            {"part": part, "percent": percent},
        )
    return amount


AmountOrPercent = Annotated[
    Decimal | Percent,
    PlainValidator(_amount_or_percent),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 1, "maximum": MAX_AMOUNT},
                {"type": "number", "const": 0},
                {"type": "string", "pattern": r"^([1-9][0-9]{0,14}(\.[0-9]{1,18})?|0)$"},
                {"type": "string", "pattern": r"^[0-9]{1,6}(\.[0-9]{1,8})?%$"},
                {
                    "type": "object",
                    "properties": {"amount": TypeAdapter(Money).json_schema()},
                    "required": ["amount"],
                    "additionalProperties": False,
                },
            ],
            "description": "in currency, or of market value as in 2.5%; "
            "a bare number between 0 and 1 is refused, because it could mean either",
            "examples": ["2.5%", 1000, {"amount": "0.02"}],
        }
    ),
]
CostRate = Annotated[
    Decimal,
    Field(ge=0, le=Decimal("0.5"), decimal_places=8),
    describe_number(r"^0(\.([0-4][0-9]{0,7}|50{0,7}))?$", 0, 0.5),
]
BandPrice = Annotated[
    Decimal,
    Field(ge=0, le=10**6, decimal_places=6),
    describe_number(r"^[0-9]{1,6}(\.[0-9]{1,6})?$", 0, 10**6),
]
Lot = Annotated[
    Decimal,
    Field(gt=0, le=10**9),
    limit_decimals(MAX_DECIMALS),
    describe_number(r"^[0-9]{1,10}(\.[0-9]{1,18})?$", 1e-18, 10**9),
]
Volume = Annotated[
    Decimal,
    Field(ge=0, le=MAX_AMOUNT),
    limit_decimals(MAX_DECIMALS),
    describe_number(AMOUNT, 0, MAX_AMOUNT),
]
Ids = Annotated[list[AnyIdentifier], Field(max_length=MAX_SECURITY_IDS)]


class GroupBody(BaseModel):
    """Bounds on the combined weight of several securities, in parts of market value."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=100)]
    security_ids: Annotated[list[AnyIdentifier], Field(min_length=1, max_length=MAX_SECURITY_IDS)]
    low: Part = Decimal(0)
    high: Part = Decimal(1)


class RebalanceOptionsBody(BaseModel):
    """Options of a rebalance; an unknown option is refused by name.

    Amounts are in currency, or where noted in percent of market value such as "2.5%". An absent
    option is taken from the model, and null means the default.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [OPTIONS]},
    )

    cash_floor: Annotated[
        AmountOrPercent | None, Field(description="least cash that must remain; or percent")
    ] = None
    cash_ceiling: Annotated[
        AmountOrPercent | None, Field(description="greatest cash that may remain; or percent")
    ] = None
    cash_flow: Annotated[
        Amount | None, Field(description="paid in before the rebalance; paid out if negative")
    ] = None
    direction: Direction | None = None
    scope: Annotated[
        Scope | None, Field(description="all securities, or only those outside their bands")
    ] = None
    do_not_buy: Ids | None = None
    do_not_sell: Ids | None = None
    frozen: Annotated[
        Ids | None, Field(description="securities that are neither bought nor sold")
    ] = None
    lots: Annotated[
        dict[AnyIdentifier, Lot] | None,
        Field(max_length=MAX_SECURITY_IDS, description="shares per lot, by security; 1 by default"),
    ] = None
    minimum_shares: Annotated[Money | None, Field(description="of every trade")] = None
    minimum_value: Annotated[
        AmountOrPercent | None, Field(description="of every trade; or percent")
    ] = None
    maximum_value: Annotated[
        AmountOrPercent | None, Field(description="of every trade; or percent")
    ] = None
    volume_share: Annotated[
        Part | None,
        Field(
            description="greatest part of its security's volume that a trade may have; a security "
            "without a volume is not traded"
        ),
    ] = None
    maximum_trades: Annotated[int, Field(ge=0, le=10_000), WHOLE] | None = None
    turnover_cap: Annotated[
        AmountOrPercent | None,
        Field(description="greatest value of all trades together; or percent"),
    ] = None
    cost_rate: Annotated[
        CostRate | None, Field(description="cost in parts of each traded amount")
    ] = None
    cost_per_trade: Money | None = None
    costs_in_objective: Annotated[
        StrictBool | None, Field(description="weigh costs against drift")
    ] = None
    groups: Annotated[list[GroupBody] | None, Field(max_length=200)] = None
    bands: Annotated[
        BandRule | None,
        Field(
            description="whether drift bands hold or yield as little as possible; by default they "
            "yield to restrictions without which a plan inside every band exists"
        ),
    ] = None
    soft_band_price: Annotated[
        BandPrice | None, Field(description="price of one unit of currency outside a band")
    ] = None
    fewest_trades: Annotated[
        StrictBool | None, Field(description="prefer fewer trades among plans of equal drift")
    ] = None
    liquidate: Annotated[
        StrictBool | None,
        Field(description="allow a model without a target, to which everything is sold"),
    ] = None
    open_orders: Annotated[
        OpenOrders | None, Field(description="whether open orders count as if they were filled")
    ] = None
    volumes: Annotated[
        dict[AnyIdentifier, Volume] | None,
        Field(
            max_length=MAX_SECURITY_IDS,
            description="shares traded on the market, by security; volume_share and rules of the "
            "kind ORDER_SHARE_MOST compare orders with them",
        ),
    ] = None


class PortfolioRebalanceOptionsBody(RebalanceOptionsBody):
    """Options for one portfolio."""

    model_id: ObjectIdentifier | None = Field(
        None, description="one of the models that the portfolio follows; the newest by default"
    )


def build_options(body: RebalanceOptionsBody | None) -> OptionOverrides:
    """Convert the given options to domain values by name; null is the default."""
    if body is None:
        return NO_OVERRIDES
    # Only what the body names, because an absent option is taken from the model.
    values = {name: getattr(body, name) for name in body.model_fields_set if name != "model_id"}
    return OptionOverrides({name: _value(name, value) for name, value in values.items()})


def options_json(options: RebalanceOptions) -> Json:
    """Build the options of a model that differ from the defaults."""
    return overrides_json(OptionOverrides.from_options(options))


def overrides_json(overrides: OptionOverrides) -> Json:
    """Build the options that were given."""
    shown: Json = {}
    for name, value in overrides.values.items():
        # As an object, because the bare number would be refused when it is sent back.
        is_small_amount = name in AMOUNTS and isinstance(value, Decimal) and 0 < value < 1
        shown[name] = {"amount": plain(value)} if is_small_amount else _json_value(value)
    return shown


def _value(name: str, value: Any) -> Any:
    match value:
        case None:  # the default, because it has to undo the option of the model
            return getattr(DEFAULTS, name)
        case list() if name == "groups":
            return tuple(
                GroupBand(group.name, frozenset(group.security_ids), group.low, group.high)
                for group in value
            )
        case list():
            return frozenset(value)
        case _:
            return value


def _json_value(value: Any) -> Any:
    match value:
        case Percent():
            return f"{plain(value.value)}%"
        case Decimal():
            return plain(value)
        case frozenset():  # sorted, otherwise equal options would differ in their text
            return sorted(value)
        case Mapping():
            return {security_id: plain(shares) for security_id, shares in value.items()}
        case tuple():
            return [_group_json(group) for group in value]
        case _:
            return value


def _group_json(group: GroupBand) -> Json:
    ids = sorted(group.security_ids)
    return {
        "name": group.name,
        "security_ids": ids,
        "low": plain(group.low),
        "high": plain(group.high),
    }
