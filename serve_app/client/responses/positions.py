"""Positions of an outcome before and after, with the amounts for a picture of them."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field

Side = Literal["BUY", "SELL"]
BandSide = Literal["BELOW", "ABOVE"]
# A weight is a fraction such as 1/3 if the model has it as a fraction.
Weight = Annotated[Decimal | Fraction, Field(union_mode="left_to_right")]


@dataclass(frozen=True, slots=True)
class PositionDetail:
    """One security before and after; amounts are in currency, weights of market value."""

    security_id: str
    price: Decimal
    target: Weight
    low_drift: Weight
    high_drift: Weight
    original_quantity: Decimal
    adjusted_quantity: Decimal
    original_position_market_value: Decimal
    adjusted_position_market_value: Decimal
    original_weight: Decimal
    actual: Decimal
    target_value: Decimal
    lower_edge: Decimal
    upper_edge: Decimal
    original_deviation: Decimal
    deviation: Decimal
    original_side: BandSide | None
    side: BandSide | None
    transaction_type: Side | None
    trade_quantity: Decimal | None
    trade_amount: Decimal | None
