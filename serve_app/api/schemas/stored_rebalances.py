"""Stored rebalances: their decimals are JSON numbers, written from the Decimal's own digits."""

from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from optimization.domain.decimals import EXACT
from optimization.domain.outcome import HUNDREDTH_PERCENT, Drift, Rebalance
from serve_app.api.schemas.fields import PORTFOLIO, Identifier, ObjectIdentifier
from serve_app.api.schemas.rebalances import (
    Number,
    Outcome,
    ProblemInAnswer,
    outside_json,
    side_of,
)
from serve_app.json_text import Json, instant, number, weight_number, whole
from storage.rebalance import Run, RunStatus


class PositionResult(BaseModel):
    """One security of a stored rebalance; the last three are null where nothing is traded."""

    security_id: Identifier
    price: Number
    original_quantity: Number
    adjusted_quantity: Number
    original_position_market_value: Number
    adjusted_position_market_value: Number
    target: Number
    high_drift: Number
    low_drift: Number
    actual: Number
    actual_drift: Annotated[Number, Field(description="actual / target - 1; 0 without a target")]
    transaction_type: Literal["BUY", "SELL"] | None
    trade_quantity: Number | None
    trade_date: date | None


class OutsideBandResult(BaseModel):
    """A security that was left outside its band, and the options, or whole_lots, that held it."""

    security_id: Identifier
    side: Literal["BELOW", "ABOVE"]
    outside: Annotated[Number, Field(description="by how much, in currency")]
    held_by: list[str]


class PortfolioResult(BaseModel):
    """One portfolio of a stored rebalance."""

    portfolio_id: Identifier
    market_value: Number | None
    base: Annotated[Number | None, Field(description="market value after costs")]
    cash_before_rebalance: Number | None
    cash_after_rebalance: Number | None
    positions: list[PositionResult]
    status: Outcome
    open_orders_counted: int
    outside_band: list[OutsideBandResult]
    error: ProblemInAnswer | None


class RebalanceResult(BaseModel):
    """A stored rebalance; ``counts`` says how many portfolios had which outcome."""

    rebalance_id: ObjectIdentifier
    model_id: ObjectIdentifier
    model_name: str
    rebalance_date: datetime
    number_of_portfolios: int
    version: int
    created_at: datetime
    status: Literal["RUNNING", "COMPLETED", "STOPPED"]
    counts: dict[Outcome, int]
    unmatched: Annotated[
        list[str],
        Field(description="what options name and nobody has; known when all portfolios are done"),
    ]
    portfolios_omitted: Annotated[
        int, Field(description="how many are not listed here, where a list is cut")
    ] = 0
    portfolios_link: Annotated[
        str | None, Field(description="where those that are omitted are, where a list is cut")
    ] = None
    portfolios: list[PortfolioResult]


class PortfoliosQuery(BaseModel):
    """The portfolios whose rebalances are asked for."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"portfolios": [PORTFOLIO]}]})

    portfolios: Annotated[list[Identifier], Field(min_length=1, max_length=1000)]


class Deleted(BaseModel):
    """That it is gone."""

    message: str


def run_json(run: Run, portfolios: list[Json], omitted: int = 0, link: str = "") -> Json:
    """A stored rebalance with the given portfolios of it, and where those are that are omitted."""
    cut = {"portfolios_omitted": omitted, "portfolios_link": link} if omitted else {}
    return {
        "rebalance_id": run.rebalance_id,
        "model_id": run.model_id,
        "model_name": run.model_name,
        "rebalance_date": instant(run.started_at),
        "number_of_portfolios": run.number_of_portfolios,
        "version": run.version,
        "created_at": instant(run.started_at),
        "status": run.status,
        "counts": {str(status): count for status, count in run.counts.items()},
        "unmatched": list(run.unmatched) if run.status is RunStatus.COMPLETED else [],
        **cut,
        "portfolios": portfolios,
    }


def deleted_json(rebalance_id: str) -> Json:
    """Confirmation that a rebalance is gone."""
    return {"message": f"Rebalance {rebalance_id} deleted successfully"}


def portfolio_json(rebalance: Rebalance, trade_date: str, error: Json | None) -> Json:
    """One portfolio of a stored rebalance."""
    return {
        "portfolio_id": rebalance.portfolio_id,
        "market_value": number(rebalance.market_value),
        "base": number(rebalance.base),
        "cash_before_rebalance": number(rebalance.cash_before),
        "cash_after_rebalance": number(rebalance.cash_after),
        "positions": positions_json(rebalance, trade_date),
        "status": rebalance.status,
        "open_orders_counted": rebalance.counted_orders,
        "outside_band": [outside_json(each, number) for each in rebalance.outside_band],
        "error": error,
    }


def positions_json(rebalance: Rebalance, trade_date: str) -> list[Json]:
    """The securities of one portfolio of a stored rebalance."""
    return [_position_json(drift, trade_date) for drift in rebalance.drifts]


def _position_json(drift: Drift, trade_date: str) -> Json:
    security, side = drift.security, side_of(drift)
    return {
        "security_id": security.security_id,
        "price": number(security.price),
        "original_quantity": number(whole(drift.original_quantity)),
        "adjusted_quantity": number(whole(drift.adjusted_quantity)),
        "original_position_market_value": _value(drift.original_quantity, security.price),
        "adjusted_position_market_value": _value(drift.adjusted_quantity, security.price),
        "target": weight_number(security.weight),
        "high_drift": weight_number(security.band.high),
        "low_drift": weight_number(security.band.low),
        "actual": number(drift.actual),
        "actual_drift": number(_actual_drift(drift)),
        "transaction_type": side,
        "trade_quantity": number(whole(drift.traded_quantity)) if side else None,
        "trade_date": trade_date if side else None,
    }


def _value(shares: Decimal | int, price: Decimal) -> object:
    return number(EXACT.multiply(Decimal(shares), price))


def _actual_drift(drift: Drift) -> Decimal:
    """The drift relative to the target, 4 decimals, half up."""
    weight = drift.security.weight
    if weight == 0:
        return Decimal("0.0000")
    above, below = weight.as_integer_ratio()
    parts = EXACT.multiply(drift.actual, Decimal(below))
    relative = EXACT.subtract(EXACT.divide(parts, Decimal(above)), 1)
    return relative.quantize(HUNDREDTH_PERCENT, ROUND_HALF_UP, EXACT)
