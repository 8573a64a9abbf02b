"""Drift reports: decimals are JSON strings of the Decimal's own digits, as in a rebalance."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from optimization import BandStatus, DriftSummary, PortfolioDrift, Standing, weight_text
from serve_app.api.schemas.fields import (
    DecimalText,
    DocumentedAs,
    ObjectIdentifier,
    inline_enum,
)
from serve_app.api.schemas.outcome_lines import BandSide
from serve_app.api.schemas.stored_fields import Identifier, ModelWeightText
from serve_app.json_text import plain, whole, write_string
from serve_app.problems.documents import ProblemInAnswer
from serve_app.problems.error_table import build_problem

Weight = Annotated[DecimalText, Field(description="of market value, 4 decimals")]


class StandingAnswer(TypedDict):
    """One security and its band; all amounts are in currency."""

    security_id: Identifier
    quantity: DecimalText
    price: DecimalText
    market_value: DecimalText
    target: ModelWeightText
    low_drift: ModelWeightText
    high_drift: ModelWeightText
    actual: Weight
    lower_edge: Annotated[DecimalText, Field(description="least value inside the band, at least 0")]
    upper_edge: Annotated[DecimalText, Field(description="greatest value inside the band")]
    deviation: Annotated[
        DecimalText, Field(description="distance from the target; negative if below")
    ]
    side: Annotated[BandSide | None, Field(description="null inside the band")]
    outside: Annotated[DecimalText, Field(description="distance from the band; 0 inside")]


class PortfolioDriftAnswer(TypedDict):
    """Drift of a portfolio from a model, without a plan."""

    portfolio_id: Identifier
    status: Annotated[BandStatus, DocumentedAs(Literal["WITHIN_BANDS", "OUT_OF_BAND"])]
    market_value: DecimalText
    cash: DecimalText
    cash_weight: Weight
    total_drift: Annotated[
        DecimalText, Field(description="sum of all deviations from target, without signs")
    ]
    total_drift_weight: Weight
    out_of_band: Annotated[int, Field(description="number of securities")]
    model_id: ObjectIdentifier
    drifts: Annotated[
        list[StandingAnswer],
        Field(description="securities of the model, then the other holdings"),
    ]


class LargestDeviation(TypedDict):
    """The security farthest from its target."""

    security_id: Identifier
    deviation: Annotated[
        DecimalText, Field(description="in currency; negative if below the target")
    ]
    target: ModelWeightText
    actual: Weight


class DriftSummaryAnswer(TypedDict):
    """Summary of one portfolio's drift; a FAILED portfolio has an error and no amounts."""

    portfolio_id: Identifier
    status: Annotated[BandStatus, DocumentedAs(inline_enum(BandStatus))]
    market_value: DecimalText | None
    cash: DecimalText | None
    cash_weight: Weight | None
    total_drift: DecimalText | None
    total_drift_weight: Weight | None
    out_of_band: Annotated[int | None, Field(description="number of securities")]
    largest_deviation: LargestDeviation | None
    error: ProblemInAnswer | None


def portfolio_drift_json(drift: PortfolioDrift, model_id: str) -> PortfolioDriftAnswer:
    """Build the drift of one portfolio with all its securities."""
    summary = drift.summary
    return {
        "portfolio_id": summary.portfolio_id,
        "status": summary.status,
        "market_value": _amount_text(summary.market_value),
        "cash": _amount_text(summary.cash),
        "cash_weight": _amount_text(summary.cash_weight),
        "total_drift": _amount_text(summary.drift),
        "total_drift_weight": _amount_text(summary.drift_weight),
        "out_of_band": summary.out_of_band,
        "model_id": model_id,
        "drifts": [_standing_json(standing) for standing in drift.standings],
    }


def drift_summary_json(summary: DriftSummary) -> DriftSummaryAnswer:
    """Build one line of the portfolios of a model."""
    return {
        "portfolio_id": summary.portfolio_id,
        "status": summary.status,
        "market_value": write_string(summary.market_value),
        "cash": write_string(summary.cash),
        "cash_weight": write_string(summary.cash_weight),
        "total_drift": write_string(summary.drift),
        "total_drift_weight": write_string(summary.drift_weight),
        "out_of_band": None if summary.market_value is None else summary.out_of_band,
        "largest_deviation": _largest_json(summary.largest),
        "error": summary.refusal and build_problem(summary.refusal),
    }


def _amount_text(amount: Decimal | None) -> str:
    assert amount is not None  # because only the summary of a portfolio that FAILED lacks amounts
    return plain(amount)


def _standing_json(standing: Standing) -> StandingAnswer:
    security = standing.security
    return {
        "security_id": security.security_id,
        "quantity": write_string(whole(standing.quantity)),
        "price": plain(security.price),
        "market_value": plain(standing.value),
        "target": weight_text(security.weight),
        "low_drift": weight_text(security.band.low),
        "high_drift": weight_text(security.band.high),
        "actual": plain(standing.actual),
        "lower_edge": plain(standing.lower),
        "upper_edge": plain(standing.upper),
        "deviation": plain(standing.deviation),
        "side": standing.edge,
        "outside": plain(standing.outside),
    }


def _largest_json(standing: Standing | None) -> LargestDeviation | None:
    if standing is None:
        return None
    return {
        "security_id": standing.security.security_id,
        "deviation": plain(standing.deviation),
        "target": weight_text(standing.security.weight),
        "actual": plain(standing.actual),
    }
