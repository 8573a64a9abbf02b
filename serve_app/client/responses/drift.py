"""Drift of portfolios from their model."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from serve_app.client.responses.positions import Weight
from serve_app.client.responses.problems import Problem


@dataclass(frozen=True, slots=True)
class Standing:
    """One security and its band; all amounts are in currency."""

    security_id: str
    quantity: Decimal
    price: Decimal
    market_value: Decimal
    target: Weight
    low_drift: Weight
    high_drift: Weight
    actual: Decimal
    lower_edge: Decimal
    upper_edge: Decimal
    deviation: Decimal
    side: Literal["BELOW", "ABOVE"] | None
    outside: Decimal


@dataclass(frozen=True, slots=True)
class PortfolioDrift:
    """The drift of a portfolio from a model."""

    portfolio_id: str
    model_id: str
    status: Literal["WITHIN_BANDS", "OUT_OF_BAND"]
    market_value: Decimal
    cash: Decimal
    cash_weight: Decimal
    total_drift: Decimal
    total_drift_weight: Decimal
    out_of_band: int
    drifts: tuple[Standing, ...]


@dataclass(frozen=True, slots=True)
class LargestDeviation:
    """The security that is farthest from its target."""

    security_id: str
    deviation: Decimal
    target: Weight
    actual: Decimal


@dataclass(frozen=True, slots=True)
class DriftSummary:
    """Summary of one portfolio's drift; a FAILED portfolio has only an error."""

    portfolio_id: str
    status: Literal["WITHIN_BANDS", "OUT_OF_BAND", "FAILED"]
    market_value: Decimal | None
    cash: Decimal | None
    cash_weight: Decimal | None
    total_drift: Decimal | None
    total_drift_weight: Decimal | None
    out_of_band: int | None
    largest_deviation: LargestDeviation | None
    error: Problem | None
