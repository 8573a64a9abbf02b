"""Answers of the routes that rebalance; fractions are JSON strings of the Decimal's digits.

A TypedDict declares each shape once, for its builder and for the OpenAPI document.
"""

from collections.abc import Mapping
from typing import Annotated, Final, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from optimization import (
    Binding,
    Method,
    OutsideBand,
    PortfolioOutcome,
    Proof,
    Status,
)
from serve_app.api.schemas.fields import (
    DecimalText,
    DocumentedAs,
    ObjectIdentifier,
    inline_enum,
)
from serve_app.api.schemas.general_fields import AnyIdentifier
from serve_app.api.schemas.outcome_lines import (
    BandSide,
    DriftAnswer,
    OutcomeLines,
    TransactionAnswer,
)
from serve_app.api.schemas.position_details import GivenPositionDetail
from serve_app.api.schemas.rules import RuleResultAnswer
from serve_app.json_text import plain, write_string
from serve_app.problems.documents import ProblemInAnswer
from serve_app.problems.error_table import build_problem

NO_NOTES: Final[Mapping[str, str]] = {}
Outcome = Annotated[Status, DocumentedAs(inline_enum(Status))]
ProofText = Annotated[Proof, DocumentedAs(inline_enum(Proof))]
MethodText = Annotated[Method, DocumentedAs(inline_enum(Method))]


class BindingAnswer(TypedDict):
    """A constraint that keeps the plan from less drift; ``slack`` in currency or trades."""

    constraint: str
    slack: DecimalText


class OutsideBandAnswer(TypedDict):
    """A security outside its band, and the options (or whole_lots) that hold it."""

    security_id: AnyIdentifier
    side: BandSide
    outside: Annotated[DecimalText, Field(description="distance from the band, in currency")]
    held_by: list[str]


class RebalanceAnswer(TypedDict):
    """Outcome of one portfolio."""

    portfolio_id: AnyIdentifier
    rebalance_id: Annotated[ObjectIdentifier | None, Field(description="null if nothing is stored")]
    model_id: Annotated[
        ObjectIdentifier | None, Field(description="null if the model is not stored")
    ]
    status: Outcome
    transactions: list[TransactionAnswer]
    drifts: list[DriftAnswer]
    market_value: DecimalText | None
    base: Annotated[
        DecimalText | None,
        Field(description="market value after costs; bands, limits and weights are parts of it"),
    ]
    cash_before_rebalance: DecimalText | None
    cash_after_rebalance: DecimalText | None
    turnover: DecimalText
    objective: DecimalText | None
    lower_bound: DecimalText | None
    cost: DecimalText
    proof: ProofText | None
    other_base: Annotated[
        DecimalText | None,
        Field(description="for FIXED_POINT_CYCLE: base after the plan that is better at this base"),
    ]
    method: MethodText | None
    binding: list[BindingAnswer]
    open_orders_counted: Annotated[
        int, Field(description="open orders that cash and holdings include as if filled")
    ]
    violation: Annotated[
        DecimalText | None,
        Field(description="sum of the distances of all securities from their bands, in currency"),
    ]
    violation_lower_bound: Annotated[
        DecimalText | None, Field(description="no plan has a smaller violation")
    ]
    outside_band: list[OutsideBandAnswer]
    error: ProblemInAnswer | None
    notes: NotRequired[
        Annotated[
            list[str],
            Field(description="what was assumed, as files left it out; absent if nothing was"),
        ]
    ]
    positions: NotRequired[
        Annotated[
            list[GivenPositionDetail],
            Field(description="drifts with prices and amounts; absent unless asked for"),
        ]
    ]
    rules: NotRequired[
        Annotated[
            list[RuleResultAnswer],
            Field(description="rules that the plan was checked by; absent without rules"),
        ]
    ]


def outcome_json(
    outcome: PortfolioOutcome,
    rebalance_id: str | None,
    model_id: str | None,
    lines: OutcomeLines,
    notes: Mapping[str, str] = NO_NOTES,
) -> RebalanceAnswer:
    """Build one portfolio's element of an answer; ``lines`` may write several elements.

    ``notes`` are the assumptions about portfolios by their ids.
    """
    # One call writes all lines, because the turnover is summed up meanwhile.
    transactions, drifts, turnover = lines.write(outcome)
    certificate = outcome.certificate
    element: RebalanceAnswer = {
        "portfolio_id": outcome.portfolio_id,
        "rebalance_id": rebalance_id,
        "model_id": model_id,
        "status": outcome.status,
        "transactions": transactions,
        "drifts": drifts,
        "market_value": write_string(outcome.market_value),
        "base": write_string(outcome.base),
        "cash_before_rebalance": write_string(outcome.cash_before),
        "cash_after_rebalance": write_string(outcome.cash_after),
        "turnover": write_string(turnover),
        "objective": write_string(certificate.objective) if certificate else None,
        "lower_bound": write_string(certificate.lower_bound) if certificate else None,
        "cost": write_string(outcome.cost),
        "proof": certificate.proof if certificate else None,
        "other_base": write_string(certificate.other_base) if certificate else None,
        "method": certificate.method if certificate else None,
        "binding": [*map(binding_json, certificate.binding)] if certificate else [],
        "open_orders_counted": outcome.counted_orders,
        "violation": write_string(certificate.violation) if certificate else None,
        "violation_lower_bound": write_string(certificate.violation_lower_bound)
        if certificate
        else None,
        "outside_band": [outside_json(outside) for outside in outcome.outside_band],
        "error": outcome.refusal and build_problem(outcome.refusal),
    }
    if outcome.portfolio_id in notes:
        element["notes"] = [notes[outcome.portfolio_id]]
    return element


def binding_json(binding: Binding) -> BindingAnswer:
    """Build one binding constraint."""
    return {"constraint": binding.constraint, "slack": plain(binding.slack)}


def outside_json(outside: OutsideBand) -> OutsideBandAnswer:
    """Build a security that the plan leaves outside its band."""
    return {
        "security_id": outside.security_id,
        "side": outside.side,
        "outside": plain(outside.outside),
        "held_by": list(outside.held_by),
    }
