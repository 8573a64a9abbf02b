"""Stored rebalances: their decimals are JSON numbers, written from the Decimal's own digits."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, NotRequired

from orjson import Fragment
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from optimization import EXACT, HUNDREDTH_PERCENT, Drift, OutsideBand, PortfolioOutcome, Status
from serve_app.api.schemas.fields import (
    PORTFOLIO,
    DateText,
    DocumentedAs,
    InstantText,
    JsonNumber,
    ObjectIdentifier,
    document_counts,
    inline_enum,
)
from serve_app.api.schemas.outcome_lines import BandSide, TransactionType, derive_side
from serve_app.api.schemas.rebalances import Outcome
from serve_app.api.schemas.rules import StoredRuleResult, stored_rule_results
from serve_app.api.schemas.stored_fields import Identifier, WeightNumber, several_ids
from serve_app.json_text import whole, write_number, write_weight
from serve_app.problems.documents import ProblemInAnswer
from serve_app.problems.error_table import build_problem
from serve_app.rules.evaluation import NO_RULES, RuleCheck
from storage.instants import format_instant
from storage.rebalances.rebalance import Rebalance, RebalanceStatus


class PositionResult(TypedDict):
    """One security of a stored rebalance; the last three members are null if it is not traded."""

    security_id: Identifier
    price: JsonNumber
    original_quantity: JsonNumber
    adjusted_quantity: JsonNumber
    original_position_market_value: JsonNumber
    adjusted_position_market_value: JsonNumber
    target: WeightNumber
    high_drift: WeightNumber
    low_drift: WeightNumber
    actual: JsonNumber
    actual_drift: Annotated[
        JsonNumber, Field(description="actual / target - 1; 0 without a target")
    ]
    transaction_type: TransactionType | None
    trade_quantity: JsonNumber | None
    trade_date: DateText | None


class OutsideBandResult(TypedDict):
    """A security that was left outside its band, and the options (or whole_lots) that held it."""

    security_id: Identifier
    side: BandSide
    outside: Annotated[JsonNumber, Field(description="distance from the band, in currency")]
    held_by: list[str]


class PortfolioResult(TypedDict):
    """One portfolio of a stored rebalance."""

    portfolio_id: Identifier
    market_value: JsonNumber | None
    base: Annotated[JsonNumber | None, Field(description="market value after costs")]
    cash_before_rebalance: JsonNumber | None
    cash_after_rebalance: JsonNumber | None
    positions: list[PositionResult]
    status: Outcome
    open_orders_counted: int
    outside_band: list[OutsideBandResult]
    error: ProblemInAnswer | None
    rules: NotRequired[
        Annotated[
            list[StoredRuleResult],
            Field(description="rules that the plan was checked by; absent without rules"),
        ]
    ]


class OmittedPortfolios(TypedDict, total=False):
    """The members of a rebalance that only one with omitted portfolios has."""

    portfolios_omitted: int
    portfolios_link: str


class RebalanceResult(TypedDict):
    """A stored rebalance; ``counts`` says how many portfolios had which outcome."""

    rebalance_id: ObjectIdentifier
    model_id: ObjectIdentifier
    model_name: str
    rebalance_date: InstantText
    number_of_portfolios: int
    version: int
    created_at: InstantText
    status: Annotated[RebalanceStatus, DocumentedAs(inline_enum(RebalanceStatus))]
    counts: Annotated[dict[str, int], document_counts(Status)]
    unmatched: Annotated[
        list[str],
        Field(
            description="ids that options name and nobody has; known once all portfolios are done"
        ),
    ]
    portfolios_omitted: NotRequired[
        Annotated[
            int,
            Field(
                description="number of portfolios left out here, if the list is cut",
                json_schema_extra={"default": 0},
            ),
        ]
    ]
    portfolios_link: NotRequired[
        Annotated[
            str,
            DocumentedAs(str | None),
            Field(description="link to the omitted portfolios, if the list is cut"),
        ]
    ]
    portfolios: list[PortfolioResult]


class PortfoliosQuery(BaseModel):
    """Portfolios whose rebalances are listed."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"portfolios": [PORTFOLIO]}]})

    portfolios: Annotated[list[str], several_ids(min_length=1, max_length=1000)]


class Deleted(TypedDict):
    """Confirmation of a deletion."""

    message: str


def rebalance_json(
    rebalance: Rebalance, portfolios: list[PortfolioResult], omitted: int = 0, link: str = ""
) -> RebalanceResult:
    """Build a stored rebalance with these portfolios, and the link to the omitted ones."""
    cut: OmittedPortfolios = (
        {"portfolios_omitted": omitted, "portfolios_link": link} if omitted else {}
    )
    return {
        "rebalance_id": rebalance.rebalance_id,
        "model_id": rebalance.model_id,
        "model_name": rebalance.model_name,
        "rebalance_date": format_instant(rebalance.started_at),
        "number_of_portfolios": rebalance.number_of_portfolios,
        "version": rebalance.version,
        "created_at": format_instant(rebalance.started_at),
        "status": rebalance.status,
        "counts": {str(status): count for status, count in rebalance.counts.items()},
        # Known at the end alone, because a later chunk may hold the ids.
        "unmatched": list(rebalance.unmatched)
        if rebalance.status is RebalanceStatus.COMPLETED
        else [],
        **cut,
        "portfolios": portfolios,
    }


def deleted_json(rebalance_id: str) -> Deleted:
    """Confirm that a rebalance is gone."""
    return {"message": f"Rebalance {rebalance_id} deleted successfully"}


def portfolio_json(
    outcome: PortfolioOutcome, trade_date: str, rules: RuleCheck = NO_RULES
) -> PortfolioResult:
    """Build one portfolio of a stored rebalance, with the results of its rules if it has any."""
    result: PortfolioResult = {
        "portfolio_id": outcome.portfolio_id,
        "market_value": write_number(outcome.market_value),
        "base": write_number(outcome.base),
        "cash_before_rebalance": write_number(outcome.cash_before),
        "cash_after_rebalance": write_number(outcome.cash_after),
        "positions": positions_json(outcome, trade_date),
        "status": outcome.status,
        "open_orders_counted": outcome.counted_orders,
        "outside_band": [_outside_json(outside) for outside in outcome.outside_band],
        "error": outcome.refusal and build_problem(outcome.refusal),
    }
    if rules:  # left out without, because clients of the original do not know the member
        result["rules"] = stored_rule_results(rules, outcome)
    return result


def positions_json(outcome: PortfolioOutcome, trade_date: str) -> list[PositionResult]:
    """Build the securities of one portfolio of a stored rebalance."""
    return [_position_json(drift, trade_date) for drift in outcome.drifts]


def _outside_json(outside: OutsideBand) -> OutsideBandResult:
    return {
        "security_id": outside.security_id,
        "side": outside.side,
        "outside": write_number(outside.outside),
        "held_by": list(outside.held_by),
    }


def _position_json(drift: Drift, trade_date: str) -> PositionResult:
    security, side = drift.security, derive_side(drift)
    return {
        "security_id": security.security_id,
        "price": write_number(security.price),
        "original_quantity": write_number(whole(drift.original_quantity)),
        "adjusted_quantity": write_number(whole(drift.adjusted_quantity)),
        "original_position_market_value": _value(drift.original_quantity, security.price),
        "adjusted_position_market_value": _value(drift.adjusted_quantity, security.price),
        "target": write_weight(security.weight),
        "high_drift": write_weight(security.band.high),
        "low_drift": write_weight(security.band.low),
        "actual": write_number(drift.actual),
        "actual_drift": write_number(_actual_drift(drift)),
        "transaction_type": side,
        "trade_quantity": write_number(whole(drift.trade_quantity)) if side else None,
        "trade_date": trade_date if side else None,
    }


def _value(shares: Decimal | int, price: Decimal) -> Fragment | int:
    return write_number(EXACT.multiply(Decimal(shares), price))


def _actual_drift(drift: Drift) -> Decimal:
    """Compute the drift relative to the target, 4 decimals, half up."""
    weight = drift.security.weight
    if weight == 0:
        return Decimal("0.0000")
    # The weight is taken as a ratio, because a weight such as 1/3 is no Decimal.
    above, below = weight.as_integer_ratio()
    parts = EXACT.multiply(drift.actual, Decimal(below))
    relative = EXACT.subtract(EXACT.divide(parts, Decimal(above)), 1)
    return relative.quantize(HUNDREDTH_PERCENT, ROUND_HALF_UP, EXACT)
