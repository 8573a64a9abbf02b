"""Positions of an outcome before and after, with the amounts that a picture of them needs."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from optimization import (
    EXACT,
    Drift,
    PortfolioOutcome,
    Standing,
    measure_outcome,
    weight_text,
)
from serve_app.api.schemas.drift import Weight
from serve_app.api.schemas.fields import DecimalText
from serve_app.api.schemas.general_fields import AnyIdentifier, WeightText
from serve_app.api.schemas.outcome_lines import BandSide, TransactionType, derive_side
from serve_app.api.schemas.stored_fields import Identifier, ModelWeightText
from serve_app.json_text import plain, whole, write_string


class PositionAmounts(TypedDict):
    """Price, quantities, values and trade of one security; amounts are in currency."""

    price: DecimalText
    original_quantity: DecimalText
    adjusted_quantity: DecimalText
    original_position_market_value: DecimalText
    adjusted_position_market_value: DecimalText
    original_weight: Weight
    actual: Weight
    target_value: Annotated[DecimalText, Field(description="of the market value after costs")]
    lower_edge: Annotated[DecimalText, Field(description="least value inside the band, at least 0")]
    upper_edge: Annotated[DecimalText, Field(description="greatest value inside the band")]
    original_deviation: Annotated[
        DecimalText, Field(description="distance from the target before; negative if below")
    ]
    deviation: Annotated[
        DecimalText, Field(description="distance from the target after; negative if below")
    ]
    original_side: Annotated[BandSide | None, Field(description="null inside the band")]
    side: Annotated[BandSide | None, Field(description="null inside the band")]
    transaction_type: TransactionType | None
    trade_quantity: DecimalText | None
    trade_amount: Annotated[DecimalText | None, Field(description="quantity times price")]


class StoredTarget(TypedDict):
    """A security by the rules of stored models, with its target and band."""

    security_id: Identifier
    target: ModelWeightText
    low_drift: ModelWeightText
    high_drift: ModelWeightText


class GivenTarget(TypedDict):
    """A security by the wider rules of requests, with its target and band."""

    security_id: AnyIdentifier
    target: WeightText
    low_drift: WeightText
    high_drift: WeightText


class PositionDetail(StoredTarget, PositionAmounts):
    """One security of a stored rebalance before and after; amounts are in currency."""


class GivenPositionDetail(GivenTarget, PositionAmounts):
    """One security of a request before and after; amounts are in currency."""


def positions_json(outcome: PortfolioOutcome) -> list[PositionDetail]:
    """Build the securities of the model, then the other holdings; none without amounts."""
    measured = measure_outcome(outcome)
    if measured is None:
        return []
    before, after = measured
    standings = zip(before.standings, after.standings, outcome.drifts, strict=True)
    return [_position_json(*standing) for standing in standings]


def given_positions_json(outcome: PortfolioOutcome) -> list[GivenPositionDetail]:
    """Build the same of a portfolio that was given whole, whose ids may be tickers."""
    return [GivenPositionDetail(**position) for position in positions_json(outcome)]


def _position_json(before: Standing, after: Standing, drift: Drift) -> PositionDetail:
    security, side = after.security, derive_side(drift)
    amount = EXACT.multiply(Decimal(drift.trade_quantity), security.price)
    return {
        "security_id": security.security_id,
        "target": weight_text(security.weight),
        "low_drift": weight_text(security.band.low),
        "high_drift": weight_text(security.band.high),
        "price": plain(security.price),
        "original_quantity": write_string(whole(drift.original_quantity)),
        "adjusted_quantity": write_string(whole(drift.adjusted_quantity)),
        "original_position_market_value": plain(before.value),
        "adjusted_position_market_value": plain(after.value),
        "original_weight": plain(before.actual),
        "actual": plain(after.actual),
        "target_value": plain(after.target),
        "lower_edge": plain(after.lower),
        "upper_edge": plain(after.upper),
        "original_deviation": plain(before.deviation),
        "deviation": plain(after.deviation),
        "original_side": before.edge,
        "side": after.edge,
        "transaction_type": side,
        "trade_quantity": write_string(whole(drift.trade_quantity)) if side else None,
        "trade_amount": plain(amount) if side else None,
    }
