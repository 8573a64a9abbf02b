"""A small case as domain objects, from which all examples of the OpenAPI document are made.

The requests of the document give a model with one security, and a portfolio that holds too much
of it. A test compares the outcomes with the engine, because the ingress never loads the solver.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from optimization import (
    Binding,
    Certificate,
    Direction,
    DriftBand,
    Edge,
    Method,
    Model,
    OutsideBand,
    Portfolio,
    PortfolioOutcome,
    Proof,
    RebalanceOptions,
    Refusal,
    Side,
    Status,
    Target,
    measure_drift,
    price_targets,
    with_portfolios,
    with_target,
    without_portfolios,
    without_target,
)
from serve_app.api.schemas.fields import MODEL, PORTFOLIO, SECURITY
from serve_app.api.schemas.models import POSTED, ModelPost, build_model
from serve_app.api.schemas.optimize import ASKED, OptimizeBody, convert_options
from serve_app.api.schemas.options import OPTIONS as GIVEN_OPTIONS
from serve_app.api.schemas.options import RebalanceOptionsBody, build_options
from serve_app.api.schemas.rules import LIMIT, RulePost, build_rule
from serve_app.api.schemas.sessions import SessionAnswer, session_json
from serve_app.auth.api_keys import KeyText
from serve_app.auth.permissions import ROLES, Role
from serve_app.auth.principals import Principal
from storage.access.api_key_store import ApiKey
from storage.audit.author import Author
from storage.audit.chain import Entry, Link, hash_entry
from storage.audit_log import AuditHead
from storage.drift.histogram import WeightCount, make_histogram
from storage.drift.scan import DriftScan, ScanStatus, make_drift_line
from storage.models.history import ModelChanges, ModelVersion
from storage.orders.order import Order, OrderState
from storage.orders.submission_store import OrderSubmission
from storage.proposals.proposal import Approval, Ending, Hold, Override, Proposal, ProposalStatus
from storage.rebalances.last_outcomes import LastOutcome
from storage.rebalances.outcome_causes import AdmittingBand, Cause, Causes
from storage.rebalances.rebalance import Rebalance, RebalanceStatus
from storage.runs.chunk_store import Event, Report
from storage.runs.run import HoldingsRef, Run, RunStatus, Selection, Totals

CORRELATION: Final = "7d0c1c0a3f6e4d7c8f6f0f1b2f3a4b5c"
DAY: Final = "2026-11-23"
REBALANCE: Final = "6720f1a2b3c4d5e6f7a8b9c0"
PROPOSAL: Final = "6721f1a2b3c4d5e6f7a8b9c0"
RUN: Final = "6725f1a2b3c4d5e6f7a8b9c0"
OTHER_PORTFOLIO: Final = "683b6d889fa492fde114a4e3"
NAME: Final = "Growth IRA"
TICKER: Final = "VTI"
BEGUN_AT: Final = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)

GROWTH: Final = replace(build_model(ModelPost.model_validate(POSTED)), model_id=MODEL)
REPLACED: Final = replace(GROWTH, version=2)
WITHOUT_POSITION: Final = replace(without_target(GROWTH, GROWTH.targets[0]), version=2)
WITH_POSITION: Final = with_target(WITHOUT_POSITION, GROWTH.targets[0])
OF_OTHER: Final = replace(GROWTH, portfolio_ids=(OTHER_PORTFOLIO,), version=2)
WITH_PORTFOLIO: Final = with_portfolios(OF_OTHER, (PORTFOLIO,))
WITHOUT_PORTFOLIO: Final = without_portfolios(WITH_PORTFOLIO, (PORTFOLIO,))

EDITED: Final = ModelVersion(
    MODEL,
    2,
    GROWTH.name,
    BEGUN_AT,
    Author(correlation_id=CORRELATION),
    ModelChanges({}, {SECURITY: (None, GROWTH.targets[0])}, (), (), 0, 0),
    WITH_POSITION,
)

_CHANGED: Final[Entry] = {
    "seq": 4711,
    "entry_id": "6720f1a2b3c4d5e6f7a8b9c1",
    "at": "2026-11-23T09:30:00.000Z",
    "sealed_at": "2026-11-23T09:30:00.640Z",
    "principal": None,
    "on_behalf_of": None,
    "action": "model.create",
    "object_type": "model",
    "object_id": MODEL,
    "version": 1,
    "before_hash": None,
    "after_hash": "4fc82b26aecb47d2868c4efbe3581732a3e7cbcc6c2efb32062c08170a05eeb8",
    "diff": None,
    "outcome": "DONE",
    "correlation_id": CORRELATION,
    "previous_hash": "6b51d431df5d7f141cbececcf79edf3dd861c3b4069f0b11661a3eefacbba918",
}
AUDITED: Final[Entry] = {**_CHANGED, "hash": hash_entry(_CHANGED)}
AUDIT_HEAD: Final = AuditHead(Link(4711, AUDITED["hash"]), BEGUN_AT)

_GIVEN: Final = OptimizeBody.model_validate(ASKED)
HELD: Final = Portfolio(
    _GIVEN.portfolios[0].portfolio_id,
    _GIVEN.portfolios[0].cash,
    _GIVEN.portfolios[0].holdings,
    _GIVEN.prices,
)
OPTIONS: Final = convert_options(_GIVEN).build_common(30.0)
SECURITIES: Final = price_targets(GROWTH, HELD.prices)
DRIFT: Final = measure_drift(SECURITIES, HELD)
SCAN_BEGUN: Final = DriftScan("6723f1a2b3c4d5e6f7a8b9c0", BEGUN_AT, CORRELATION)
SCAN: Final = replace(
    SCAN_BEGUN,
    status=ScanStatus.COMPLETED,
    number_of_portfolios=1,
    counts={DRIFT.summary.status: 1},
    finished_at=BEGUN_AT + timedelta(seconds=1),
)
DRIFT_LINE: Final = make_drift_line(MODEL, DRIFT.summary)
HISTOGRAM: Final = make_histogram([WeightCount(DRIFT_LINE.drift_weight or Decimal(0), 1, 1)], 40)

SOLD: Final = PortfolioOutcome(
    PORTFOLIO,
    Status.REBALANCED,
    HELD.market_value,
    HELD.cash,
    Decimal("10346.50"),
    SECURITIES,
    before=(120,),
    after=(109,),
    certificate=Certificate(Proof.OPTIMAL, Method.SEPARABLE, Decimal("11.50"), Decimal("11.50")),
    cost=Decimal("0.00"),
)

BUY_ONLY: Final = RebalanceOptions(direction=Direction.BUY_ONLY)
NOT_SOLD: Final = PortfolioOutcome(
    PORTFOLIO,
    Status.NO_TRADE,
    HELD.market_value,
    HELD.cash,
    HELD.cash,
    SECURITIES,
    before=(120,),
    after=(120,),
    certificate=Certificate(
        Proof.OPTIMAL,
        Method.SEPARABLE,
        Decimal("335.00"),
        Decimal("335.00"),
        (Binding("direction", Decimal("0.00")),),
        violation=Decimal("59.40"),
        violation_lower_bound=Decimal("59.40"),
    ),
    cost=Decimal("0.00"),
    outside_band=(OutsideBand(SECURITY, Edge.ABOVE, Decimal("59.40"), ("direction",)),),
)

NARROW: Final = Model(
    "Narrow",
    (Target(SECURITY, Decimal("0.055"), DriftBand(Decimal("0.005"), Decimal("0.005"))),),
    (PORTFOLIO,),
)
IN_CASH: Final = Portfolio(PORTFOLIO, Decimal("20000.00"), {}, {SECURITY: Decimal("812.40")})
INFEASIBLE: Final = PortfolioOutcome(
    PORTFOLIO,
    Status.INFEASIBLE,
    IN_CASH.market_value,
    IN_CASH.cash,
    IN_CASH.cash,
    price_targets(NARROW, IN_CASH.prices),
    before=(0,),
    after=(0,),
    refusal=Refusal(
        "infeasible",
        f"No feasible solution exists: {SECURITY} has no whole lot inside the drift band. "
        "There is a plan with bands YIELD or with a soft_band_price.",
        {
            "securities": [
                {
                    "security_id": SECURITY,
                    "price": "812.40",
                    "target": "0.055",
                    "low_drift": "0.005",
                    "high_drift": "0.005",
                    "smallest_band": {
                        "low_drift": "0.01438",
                        "high_drift": "0.01438",
                        "lots": "1",
                    },
                }
            ],
            "limits": [],
            "admits": [
                {"option": "bands", "value": "YIELD"},
                {"option": "soft_band_price"},
            ],
            "nearest_plan": {
                "transactions": [
                    {"transaction_type": "BUY", "security_id": SECURITY, "quantity": "1"}
                ],
                "cash_after_rebalance": "19187.60",
                "objective": "287.60",
                "outside_band": [{"security_id": SECURITY, "quantity": "1", "actual": "0.0406"}],
                "gives": [],
            },
        },
    ),
)

CAUSES: Final = Causes(
    (
        Cause(
            "infeasible",
            "security",
            SECURITY,
            52,
            (PORTFOLIO,),
            tuple(
                AdmittingBand(Decimal(share), Decimal(band), Decimal(band))
                for share, band in (("0.5", "0.0084"), ("0.9", "0.0121"), ("1", "0.01438"))
            ),
        ),
    ),
    examined=52,
    is_whole=True,
)

GIVEN_OVERRIDES: Final = build_options(RebalanceOptionsBody.model_validate(GIVEN_OPTIONS))
STORED: Final = Rebalance(
    REBALANCE,
    MODEL,
    GROWTH.version,
    GROWTH.name,
    SECURITIES,
    options=GIVEN_OVERRIDES,
    number_of_portfolios=1,
    started_at=BEGUN_AT,
    status=RebalanceStatus.COMPLETED,
    counts={SOLD.status: 1},
    finished_at=BEGUN_AT + timedelta(milliseconds=40),
)

LAST: Final = LastOutcome(
    PORTFOLIO, SOLD.status, REBALANCE, None, MODEL, GROWTH.name, GROWTH.version, BEGUN_AT
)

QUEUED: Final = Run(
    RUN,
    Selection((MODEL,)),
    GIVEN_OVERRIDES,
    HoldingsRef("summaries"),
    BEGUN_AT,
    correlation_id=CORRELATION,
)
QUEUED_FOR_ONE: Final = replace(QUEUED, selection=Selection((), (PORTFOLIO,)))
CHUNK: Final = Report(
    {Status.REBALANCED: 240, Status.IN_BAND: 10},
    {"SEPARABLE": 247, "COVER": 3},
    {"fetch": 0.604, "solve": 0.206, "write": 0.051},
    proofs={"OPTIMAL": 250},
)
RUNNING: Final = replace(
    QUEUED,
    status=RunStatus.RUNNING,
    number_of_rebalances=1,
    number_of_portfolios=1200,
    number_of_chunks=5,
    totals=Totals(
        chunks=2,
        counts={status: 2 * count for status, count in CHUNK.counts.items()},
        methods={method: 2 * count for method, count in CHUNK.methods.items()},
        seconds={stage: 2 * seconds for stage, seconds in CHUNK.seconds.items()},
        proofs={proof: 2 * count for proof, count in CHUNK.proofs.items()},
    ),
    started_at=BEGUN_AT + timedelta(milliseconds=120),
    updated_at=BEGUN_AT + timedelta(milliseconds=936),
)
CANCELLING: Final = replace(RUNNING, status=RunStatus.CANCELLING)
SECOND_CHUNK: Final = Event(2, REBALANCE, 250, 250, CHUNK, BEGUN_AT + timedelta(milliseconds=936))

ORDER: Final = Order(
    REBALANCE,
    0,
    PORTFOLIO,
    SECURITY,
    Side.SELL,
    11,
    BEGUN_AT,
    OrderState.SENT,
    order_id=4711,
    timestamp=BEGUN_AT + timedelta(seconds=30, milliseconds=1),
)
REFUSED_ORDER: Final = replace(
    ORDER, state=OrderState.FAILED, order_id=None, message="Blotter ID is required"
)

UPSTREAMS: Final = ("accounting", "pricing", "security", "order", "portfolio")
CHECKS: Final[dict[str, str]] = dict.fromkeys(("database", *UPSTREAMS), "healthy")
BREAKERS: Final[dict[str, str]] = dict.fromkeys(UPSTREAMS, "closed")


def build_submission(order: Order) -> OrderSubmission:
    """Make the hand-over of a rebalance with this order alone."""
    counts: Mapping[OrderState, int] = {state: int(state is order.state) for state in OrderState}
    return OrderSubmission(REBALANCE, counts, 1, (order,), 1)


PROPOSED: Final = Proposal(
    proposal_id=PROPOSAL,
    rebalance_id=REBALANCE,
    model_id=MODEL,
    model_name=GROWTH.name,
    model_version=GROWTH.version,
    number_of_portfolios=1,
    proposed_by="nightly-rebalance",
    proposed_at=BEGUN_AT + timedelta(minutes=2),
    begun_by="nightly-rebalance",
    required_approvals=2,
    note="quarter end",
)
APPROVED: Final = replace(
    PROPOSED,
    approvals=(Approval("anna", 1, BEGUN_AT + timedelta(minutes=9)),),
    number_of_holds=1,
    version=3,
)
WITHDRAWN: Final = replace(
    PROPOSED,
    status=ProposalStatus.WITHDRAWN,
    ending=Ending("nightly-rebalance", BEGUN_AT + timedelta(minutes=4), "prices were delayed"),
    version=2,
)
OVERRIDDEN: Final = Override("carla", BEGUN_AT + timedelta(minutes=8), "the client confirmed it")
RULE: Final = replace(
    build_rule(RulePost.model_validate(LIMIT)), rule_id="6722f1a2b3c4d5e6f7a8b9c0"
)
HELD_TRADE: Final = Hold(
    PORTFOLIO, SECURITY, "anna", BEGUN_AT + timedelta(minutes=7), "the client asked for it"
)

API_KEY_TEXT: Final = KeyText("3f9a1c0b7e5d2468", "0" * 64)
API_KEY: Final = ApiKey(
    key_id=API_KEY_TEXT.key_id,
    owner="nightly-rebalance",
    roles=("trader",),
    scopes=(),
    secret_hash=API_KEY_TEXT.secret_hash,
    created_at=datetime(2026, 11, 23, 9, 30, tzinfo=UTC),
    created_by="ada",
    models=(MODEL,),
    expires_at=datetime(2027, 11, 23, 9, 30, tzinfo=UTC),
)

SESSION: SessionAnswer = session_json(
    Principal("ada", ROLES[Role.VIEWER], display_name="Ada Lovelace"),
    datetime(2026, 11, 26, 17, 30, tzinfo=UTC),
    {
        "accepts_keys": True,
        "login": "/session/login",
        "issuer": "https://id.example.com/realms/desk",
        "client_id": "ordergen",
        "scope": "openid profile",
        "resource": None,
    },
    authenticates=True,
)
