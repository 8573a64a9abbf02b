"""Example of every answer: the JSON that the service builds from the objects of samples.py."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

import orjson

from serve_app.api.event_stream import chunk_event, state_event
from serve_app.api.exports import audit_entries
from serve_app.api.exports.transactions import TransactionLine, csv_text, line_json, list_lines
from serve_app.api.openapi import samples
from serve_app.api.schemas.audit import AuditEntryAnswer, AuditHeadAnswer, head_json
from serve_app.api.schemas.causes import (
    AdmittingBandAnswer,
    CauseAnswer,
    CausesAnswer,
    causes_json,
)
from serve_app.api.schemas.drift import (
    DriftSummaryAnswer,
    LargestDeviation,
    PortfolioDriftAnswer,
    StandingAnswer,
    drift_summary_json,
    portfolio_drift_json,
)
from serve_app.api.schemas.drift_scans import (
    BinAnswer,
    DriftHistogramAnswer,
    DriftLineAnswer,
    DriftScanAnswer,
    LineDeviation,
    drift_histogram_json,
    drift_line_json,
    drift_scan_json,
)
from serve_app.api.schemas.fields import MODEL, PORTFOLIO, SECURITY
from serve_app.api.schemas.health import Health
from serve_app.api.schemas.keys import KeyAnswer, NewKeyAnswer, key_json, new_key_json
from serve_app.api.schemas.model_versions import (
    ModelVersionAnswer,
    PositionChange,
    WholeModelVersionAnswer,
    version_json,
    whole_version_json,
)
from serve_app.api.schemas.models import ModelAnswer, model_json
from serve_app.api.schemas.names import PortfolioName, SecurityTicker
from serve_app.api.schemas.orders import (
    HandOverAnswer,
    OrderOfRebalance,
    hand_over_json,
    order_json,
)
from serve_app.api.schemas.outcome_lines import OutcomeLines
from serve_app.api.schemas.outcome_summaries import (
    DriftTotals,
    LastOutcomeAnswer,
    OutcomeDetail,
    OutcomeSummary,
    OutcomeTotalsAnswer,
    Reason,
    RebalanceSummary,
    last_outcome_json,
    outcome_detail_json,
    outcome_summary_json,
    outcome_totals_json,
    rebalance_summary_json,
)
from serve_app.api.schemas.position_details import GivenPositionDetail, PositionDetail
from serve_app.api.schemas.proposals import (
    ApprovalAnswer,
    EndingAnswer,
    HoldAnswer,
    OverrideAnswer,
    ProposalAnswer,
    hold_json,
    proposal_json,
)
from serve_app.api.schemas.rebalances import (
    BindingAnswer,
    OutsideBandAnswer,
    RebalanceAnswer,
    outcome_json,
)
from serve_app.api.schemas.rules import (
    RuleAnswer,
    RuleResultAnswer,
    StoredRuleResult,
    rule_json,
    rule_results,
    stored_rule_results,
)
from serve_app.api.schemas.runs import RunAnswer, SelectionAnswer, outcome_line, run_json
from serve_app.api.schemas.sessions import (
    CallerAnswer,
    SessionAnswer,
    SignedOutAnswer,
    SignInAnswer,
)
from serve_app.api.schemas.stored_rebalances import (
    Deleted,
    OutsideBandResult,
    PortfolioResult,
    PositionResult,
    RebalanceResult,
    deleted_json,
    portfolio_json,
    rebalance_json,
)
from serve_app.api.schemas.system import EventStreams, system_json
from serve_app.api.schemas.trades import (
    LiveHolds,
    TotalsOfTrades,
    TradeDetail,
    TradeTotalsAnswer,
    totals_json,
    trades_json,
)
from serve_app.api.schemas.what_if import WhatIfAnswer, what_if_json
from serve_app.json_text import Json, encode
from serve_app.rules.evaluation import RuleCheck
from serve_app.settings import Settings
from storage.rebalances.outcome_totals import OutcomeTotals
from storage.rebalances.trade_search import ALL_TRADES
from storage.rebalances.trade_totals import TradeTotals
from storage.runs.run import Run


def _round_trip(value: Any) -> Any:
    """Write and read the value, as a client gets it."""
    return orjson.loads(encode(value))


def _state(run: Run, *rebalances: str) -> RunAnswer:
    return run_json(run, rebalances, ())


_IDS, _WRITER = (samples.REBALANCE, MODEL), OutcomeLines(samples.DAY)
_REBALANCED = _round_trip(outcome_json(samples.SOLD, *_IDS, _WRITER))
_GIVEN = _round_trip(outcome_json(samples.SOLD, None, None, _WRITER))
_NOT_SOLD = _round_trip(outcome_json(samples.NOT_SOLD, *_IDS, _WRITER))
_NOT_SOLD_STORED = _round_trip(portfolio_json(samples.NOT_SOLD, samples.DAY))
_STORED = portfolio_json(samples.SOLD, samples.DAY)
_OUTCOME = _round_trip(_STORED)
_DRIFT = _round_trip(portfolio_drift_json(samples.DRIFT, MODEL))
_SUMMARY = _round_trip(drift_summary_json(samples.DRIFT.summary))
_DRIFT_LINE = _round_trip(drift_line_json(samples.DRIFT_LINE))
_HISTOGRAM = _round_trip(drift_histogram_json(samples.HISTOGRAM))
_READ = replace(samples.SOLD, cost=Decimal(0))  # because a cost of nothing is not stored
_DETAIL = _round_trip(outcome_detail_json(samples.STORED, _READ, samples.DAY))
_LINE = _round_trip(outcome_summary_json(_READ))
_REASON = _round_trip(outcome_summary_json(samples.INFEASIBLE))["error"]
_CAUSES = _round_trip(causes_json(samples.CAUSES))
_SENT = _round_trip(hand_over_json(samples.build_submission(samples.ORDER)))
_PROPOSED = _round_trip(proposal_json(samples.PROPOSED))
_APPROVED = _round_trip(proposal_json(samples.APPROVED))
_OVERRIDDEN = _round_trip(proposal_json(replace(samples.PROPOSED, override=samples.OVERRIDDEN)))
_RULE = _round_trip(rule_json(samples.RULE))
_WITHDRAWN = _round_trip(proposal_json(samples.WITHDRAWN))
_LINES = tuple(list_lines(samples.REBALANCE, (samples.SOLD,), samples.DAY))
_SUMMED = OutcomeTotals()
_SUMMED.add_outcome(samples.SOLD)
_TOTALED = TradeTotals()
_TOTALED.add_outcome(samples.SOLD, ALL_TRADES)
_TOTALS = _round_trip(totals_json(samples.REBALANCE, None, _TOTALED))
_TRADE = _round_trip([*trades_json(((_READ, 0),), LiveHolds())])[0]
_ORDER = _round_trip(order_json(samples.ORDER))
_EDITED = _round_trip(version_json(samples.EDITED))
_QUEUED = _round_trip(_state(samples.QUEUED))
_RUNNING = _state(samples.RUNNING, samples.REBALANCE)


def _health(status: str) -> Json:
    health = Health(status=status, checks=samples.CHECKS, breakers=samples.BREAKERS)
    return health.model_dump(mode="json")


def _system() -> Json:
    streams: EventStreams = {"open": 2, "most": 100}
    system = system_json(Settings.model_construct(), "0.1.0", Health(status="healthy"), streams)
    return {**system, "health": _health("healthy")}


OF_SHAPES: Final[Mapping[type[Any], Json]] = {
    ModelAnswer: _round_trip(model_json(samples.GROWTH)),
    ModelVersionAnswer: _EDITED,
    WholeModelVersionAnswer: _round_trip(whole_version_json(samples.EDITED)),
    PositionChange: _EDITED["changes"]["positions"][0],
    AuditEntryAnswer: _round_trip(samples.AUDITED),
    AuditHeadAnswer: _round_trip(head_json(samples.AUDIT_HEAD)),
    RebalanceAnswer: _REBALANCED,
    BindingAnswer: _NOT_SOLD["binding"][0],
    OutsideBandAnswer: _NOT_SOLD["outside_band"][0],
    OutsideBandResult: _NOT_SOLD_STORED["outside_band"][0],
    PositionResult: _OUTCOME["positions"][0],
    PortfolioResult: _OUTCOME,
    OrderOfRebalance: _ORDER,
    WhatIfAnswer: _round_trip(what_if_json(samples.GROWTH, [_READ])),
    SelectionAnswer: _QUEUED["selection"],
    RebalanceSummary: _round_trip(rebalance_summary_json(samples.STORED)),
    LastOutcomeAnswer: _round_trip(last_outcome_json(samples.LAST)),
    OutcomeSummary: _LINE,
    OutcomeTotalsAnswer: _round_trip(outcome_totals_json(samples.REBALANCE, _SUMMED)),
    OutcomeDetail: _DETAIL,
    PositionDetail: _DETAIL["positions"][0],
    GivenPositionDetail: _DETAIL["positions"][0],
    DriftTotals: _LINE["after"],
    Reason: _REASON,
    CausesAnswer: _CAUSES,
    CauseAnswer: _CAUSES["causes"][0],
    AdmittingBandAnswer: _CAUSES["causes"][0]["bands"][0],
    RebalanceResult: _round_trip(rebalance_json(samples.STORED, [_STORED])),
    Deleted: _round_trip(deleted_json(samples.REBALANCE)),
    TransactionLine: _round_trip(line_json(_LINES[0])),
    TradeDetail: _TRADE,
    TradeTotalsAnswer: _TOTALS,
    TotalsOfTrades: _TOTALS["buys"],
    StandingAnswer: _DRIFT["drifts"][0],
    PortfolioDriftAnswer: _DRIFT,
    LargestDeviation: _SUMMARY["largest_deviation"],
    DriftSummaryAnswer: _SUMMARY,
    DriftScanAnswer: _round_trip(drift_scan_json(samples.SCAN)),
    DriftLineAnswer: _DRIFT_LINE,
    LineDeviation: _DRIFT_LINE["largest_deviation"],
    DriftHistogramAnswer: _HISTOGRAM,
    BinAnswer: _HISTOGRAM["bins"][0],
    RunAnswer: _round_trip(_RUNNING),
    HandOverAnswer: _SENT,
    ProposalAnswer: _PROPOSED,
    OverrideAnswer: _OVERRIDDEN["override"],
    RuleAnswer: _RULE,
    RuleResultAnswer: _round_trip(rule_results(RuleCheck((samples.RULE,)), samples.SOLD))[0],
    StoredRuleResult: _round_trip(stored_rule_results(RuleCheck((samples.RULE,)), samples.SOLD))[0],
    ApprovalAnswer: _APPROVED["approvals"][0],
    EndingAnswer: _WITHDRAWN["ending"],
    HoldAnswer: _round_trip(hold_json(samples.HELD_TRADE)),
    PortfolioName: {"portfolio_id": PORTFOLIO, "name": samples.NAME},
    SecurityTicker: {"security_id": SECURITY, "ticker": samples.TICKER},
    Health: _health("ready"),
    KeyAnswer: _round_trip(key_json(samples.API_KEY)),
    SessionAnswer: _round_trip(samples.SESSION),
    CallerAnswer: _round_trip(samples.SESSION["caller"]),
    SignInAnswer: _round_trip(samples.SESSION["sign_in"]),
    SignedOutAnswer: {"sign_out_url": "https://id.example.com/session/end?client_id=console"},
    NewKeyAnswer: _round_trip(new_key_json(samples.API_KEY, samples.API_KEY_TEXT)),
}
"""An example of each shape that an answer has."""

OF_OPERATIONS: Final[Mapping[tuple[str, str], Any]] = {
    ("replace_model", "200"): _round_trip(model_json(samples.REPLACED)),
    ("add_position", "200"): _round_trip(model_json(samples.WITH_POSITION)),
    ("replace_position", "200"): _round_trip(model_json(samples.REPLACED)),
    ("remove_position", "200"): _round_trip(model_json(samples.WITHOUT_POSITION)),
    ("add_portfolios", "200"): _round_trip(model_json(samples.WITH_PORTFOLIO)),
    ("remove_portfolios", "200"): _round_trip(model_json(samples.WITHOUT_PORTFOLIO)),
    ("optimize", "200"): [_GIVEN],
    ("rebalance_model", "202"): _QUEUED,
    ("rebalance_portfolio", "202"): _round_trip(_state(samples.QUEUED_FOR_ONE)),
    ("begin_run", "202"): _QUEUED,
    ("begin_drift_scan", "202"): _round_trip(drift_scan_json(samples.SCAN_BEGUN)),
    ("cancel_run", "202"): _round_trip(_state(samples.CANCELLING, samples.REBALANCE)),
    ("hand_over", "207"): _round_trip(
        hand_over_json(samples.build_submission(samples.REFUSED_ORDER))
    ),
    ("decide_proposal", "200"): _APPROVED,
    ("replace_rule", "200"): _round_trip(rule_json(replace(samples.RULE, version=2))),
    ("withdraw_proposal", "200"): _WITHDRAWN,
    ("health", "200"): _health("healthy"),
    ("system", "200"): _system(),
    ("live", "200"): Health(status="healthy").model_dump(mode="json"),
}
"""The answers that differ from the example of their shape, by operation and status."""

EVENTS: Final = (chunk_event(samples.SECOND_CHUNK) + state_event(_RUNNING, is_over=False)).decode()
OUTCOMES: Final = outcome_line(samples.REBALANCE, _STORED).decode()
AUDIT_TABLE: Final = audit_entries.csv_text([samples.AUDITED]).decode()
AUDIT_LINES: Final = audit_entries.json_line(samples.AUDITED).decode()
TABLE: Final = csv_text(_LINES).decode()
TABLE_LINES: Final = f"{encode(line_json(_LINES[0])).decode()}\n"
