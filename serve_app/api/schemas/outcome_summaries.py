"""Outcomes of a stored rebalance in a line each, and one of them in full; decimals are strings."""

from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from optimization import (
    DriftSummary,
    OptionOverrides,
    PortfolioOutcome,
    Status,
    measure_outcome,
)
from serve_app.api.schemas.drift import Weight
from serve_app.api.schemas.fields import (
    DateText,
    DecimalText,
    DocumentedAs,
    InstantText,
    ObjectIdentifier,
    document_counts,
    inline_enum,
)
from serve_app.api.schemas.options import overrides_json
from serve_app.api.schemas.position_details import PositionDetail, positions_json
from serve_app.api.schemas.rebalances import (
    BindingAnswer,
    MethodText,
    Outcome,
    OutsideBandAnswer,
    ProofText,
    binding_json,
    outside_json,
)
from serve_app.api.schemas.rules import RuleResultAnswer, rule_results
from serve_app.api.schemas.stored_fields import Identifier
from serve_app.json_text import Json, plain, write_string
from serve_app.problems.documents import ProblemInAnswer
from serve_app.problems.error_table import build_problem, find_refusal_kind
from serve_app.rules.evaluation import NO_RULES, RuleCheck
from storage.instants import format_instant
from storage.rebalances.last_outcomes import LastOutcome
from storage.rebalances.outcome_totals import OutcomeTotals
from storage.rebalances.rebalance import Rebalance, RebalanceStatus


class RebalanceSummary(TypedDict):
    """A stored rebalance without its portfolios."""

    rebalance_id: ObjectIdentifier
    run_id: Annotated[ObjectIdentifier | None, Field(description="null if it is no part of a run")]
    model_id: ObjectIdentifier
    model_name: str
    model_version: int
    rebalance_date: InstantText
    finished_at: Annotated[InstantText | None, Field(description="null while it is RUNNING")]
    status: Annotated[RebalanceStatus, DocumentedAs(inline_enum(RebalanceStatus))]
    number_of_portfolios: int
    counts: Annotated[dict[str, int], document_counts(Status)]
    options: Annotated[dict[str, Any], Field(description="the options that were given")]
    version: int
    error: Annotated[
        ProblemInAnswer | None, Field(description="why none of the portfolios has a plan")
    ]


class Reason(TypedDict):
    """Why a portfolio has no plan, without the facts."""

    type: str
    title: str
    detail: str


class DriftTotals(TypedDict):
    """Drift of all securities of a portfolio together."""

    total_drift: Annotated[
        DecimalText, Field(description="sum of all deviations from target, without signs")
    ]
    total_drift_weight: Weight
    out_of_band: Annotated[int, Field(description="number of securities")]


class OutcomeTotalsAnswer(TypedDict):
    """Exact sums in currency over the outcomes of a rebalance that have the amount."""

    rebalance_id: ObjectIdentifier
    portfolios: Annotated[int, Field(description="outcomes that have amounts")]
    market_value: DecimalText
    cash_before_rebalance: DecimalText
    cash_after_rebalance: DecimalText
    objective: Annotated[DecimalText, Field(description="of the outcomes with a plan")]


class OutcomeSummary(TypedDict):
    """Outcome of one portfolio without its positions; a FAILED one has no amounts."""

    portfolio_id: Identifier
    status: Outcome
    market_value: DecimalText | None
    cash_before_rebalance: DecimalText | None
    cash_after_rebalance: DecimalText | None
    transactions: Annotated[int, Field(description="number of transactions")]
    turnover: DecimalText
    cost: DecimalText
    before: DriftTotals | None
    after: DriftTotals | None
    objective: DecimalText | None
    lower_bound: DecimalText | None
    proof: ProofText | None
    method: MethodText | None
    error: Reason | None
    rules: NotRequired[
        Annotated[
            list[RuleResultAnswer],
            Field(description="rules that the plan was checked by; absent without rules"),
        ]
    ]


class OutcomeDetail(OutcomeSummary):
    """Outcome of one portfolio with its positions, the proof and what explains it."""

    rebalance_id: ObjectIdentifier
    model_id: ObjectIdentifier
    model_name: str
    model_version: int
    rebalance_date: InstantText
    trade_date: DateText
    options: Annotated[dict[str, Any], Field(description="the options that were given")]
    base: Annotated[DecimalText | None, Field(description="market value after costs")]
    open_orders_counted: int
    binding: list[BindingAnswer]
    violation: DecimalText | None
    violation_lower_bound: DecimalText | None
    outside_band: list[OutsideBandAnswer]
    problem: Annotated[ProblemInAnswer | None, Field(description="`error` with all its facts")]
    positions: Annotated[
        list[PositionDetail],
        Field(description="securities of the model, then the other holdings"),
    ]


class LastOutcomeAnswer(TypedDict):
    """Outcome of a portfolio in the newest rebalance that has one."""

    portfolio_id: Identifier
    status: Outcome
    rebalance_id: ObjectIdentifier
    run_id: Annotated[ObjectIdentifier | None, Field(description="null if it is no part of a run")]
    model_id: ObjectIdentifier
    model_name: str
    model_version: int
    rebalance_date: InstantText


def last_outcome_json(last: LastOutcome) -> LastOutcomeAnswer:
    """Build the newest outcome of a portfolio."""
    return {
        "portfolio_id": last.portfolio_id,
        "status": last.status,
        "rebalance_id": last.rebalance_id,
        "run_id": last.run_id,
        "model_id": last.model_id,
        "model_name": last.model_name,
        "model_version": last.model_version,
        "rebalance_date": format_instant(last.started_at),
    }


def rebalance_summary_json(rebalance: Rebalance) -> RebalanceSummary:
    """Build a rebalance without its portfolios."""
    return {
        "rebalance_id": rebalance.rebalance_id,
        "run_id": rebalance.run_id,
        "model_id": rebalance.model_id,
        "model_name": rebalance.model_name,
        "model_version": rebalance.model_version,
        "rebalance_date": format_instant(rebalance.started_at),
        "finished_at": format_instant(rebalance.finished_at),
        "status": rebalance.status,
        "number_of_portfolios": rebalance.number_of_portfolios,
        "counts": {str(status): count for status, count in rebalance.counts.items()},
        "options": _options_json(rebalance.options),
        "version": rebalance.version,
        "error": rebalance.refusal and build_problem(rebalance.refusal),
    }


def outcome_summary_json(outcome: PortfolioOutcome, rules: RuleCheck = NO_RULES) -> OutcomeSummary:
    """Build an outcome in a line, with the results of the rules if there are any."""
    certificate, refusal = outcome.certificate, outcome.refusal
    measured = measure_outcome(outcome)
    before, after = measured or (None, None)
    reason: Reason | None = None
    if refusal is not None:
        kind = find_refusal_kind(refusal)
        reason = {"type": kind.uri, "title": kind.title, "detail": refusal.detail}
    line: OutcomeSummary = {
        "portfolio_id": outcome.portfolio_id,
        "status": outcome.status,
        "market_value": write_string(outcome.market_value),
        "cash_before_rebalance": write_string(outcome.cash_before),
        "cash_after_rebalance": write_string(outcome.cash_after),
        "transactions": len(outcome.transactions),
        "turnover": write_string(outcome.turnover),
        "cost": write_string(outcome.cost),
        "before": before and _totals_json(before.summary),
        "after": after and _totals_json(after.summary),
        "objective": write_string(certificate.objective) if certificate else None,
        "lower_bound": write_string(certificate.lower_bound) if certificate else None,
        "proof": certificate.proof if certificate else None,
        "method": certificate.method if certificate else None,
        "error": reason,
    }
    if rules:
        line["rules"] = rule_results(rules, outcome)
    return line


def outcome_totals_json(rebalance_id: str, totals: OutcomeTotals) -> OutcomeTotalsAnswer:
    """Build the sums over the outcomes of a rebalance."""
    return {
        "rebalance_id": rebalance_id,
        "portfolios": totals.portfolios,
        "market_value": plain(totals.market_value),
        "cash_before_rebalance": plain(totals.cash_before),
        "cash_after_rebalance": plain(totals.cash_after),
        "objective": plain(totals.objective),
    }


def outcome_detail_json(
    rebalance: Rebalance, outcome: PortfolioOutcome, trade_date: str
) -> OutcomeDetail:
    """Build one outcome in full."""
    certificate = outcome.certificate
    own = rebalance.overrides_by_portfolio.get(outcome.portfolio_id)
    options = _options_json(rebalance.options) | (_options_json(own) if own else {})
    return {
        **outcome_summary_json(outcome, RuleCheck.from_rebalance(rebalance)),
        "rebalance_id": rebalance.rebalance_id,
        "model_id": rebalance.model_id,
        "model_name": rebalance.model_name,
        "model_version": rebalance.model_version,
        "rebalance_date": format_instant(rebalance.started_at),
        "trade_date": trade_date,
        "options": options,
        "base": write_string(outcome.base),
        "open_orders_counted": outcome.counted_orders,
        "binding": [*map(binding_json, certificate.binding)] if certificate else [],
        "violation": write_string(certificate.violation) if certificate else None,
        "violation_lower_bound": write_string(certificate.violation_lower_bound)
        if certificate
        else None,
        "outside_band": [outside_json(outside) for outside in outcome.outside_band],
        "problem": outcome.refusal and build_problem(outcome.refusal),
        "positions": positions_json(outcome),
    }


def _options_json(options: OptionOverrides) -> Json:
    return dict(sorted(overrides_json(options).items()))


def _totals_json(drift: DriftSummary) -> DriftTotals:
    assert drift.drift is not None  # because only a FAILED portfolio lacks amounts
    assert drift.drift_weight is not None
    return {
        "total_drift": plain(drift.drift),
        "total_drift_weight": plain(drift.drift_weight),
        "out_of_band": drift.out_of_band,
    }
