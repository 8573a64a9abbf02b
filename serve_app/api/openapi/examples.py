"""Example of every kind of problem: for the OpenAPI document, the problem pages and docs/problems.

Each example is the answer of the service to an error of that kind, so the two cannot differ.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from functools import cache
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError
from starlette.responses import Response

from optimization import PortfolioOutcome, Status
from optimization.errors import (
    CertificationError,
    EmptyModelError,
    NoSolutionInTimeError,
    OptionsConflictError,
    PricesMissingError,
    RuleError,
    TargetDiffersError,
    TargetExistsError,
)
from serve_app.api.exports.workbook import MAX_SHEET_ROWS
from serve_app.api.openapi.samples import (
    BREAKERS,
    CHECKS,
    CORRELATION,
    DAY,
    INFEASIBLE,
    OTHER_PORTFOLIO,
    PROPOSAL,
    REBALANCE,
)
from serve_app.api.problem_responses import error_answer, http_answer, invalid_answer
from serve_app.api.responses import Heading, refuse_all, refuse_one
from serve_app.api.schemas.fields import MODEL, PORTFOLIO, SECURITY, ObjectIdentifier
from serve_app.auth.errors import (
    INVALID,
    AuthenticationError,
    OutsideLimitsError,
    ProviderUnavailableError,
    RateExceededError,
    ScopeMissingError,
    SignInFailedError,
)
from serve_app.json_text import Json, decode, json_errors
from serve_app.ports.errors import OverloadedError, ReplicaLostError
from serve_app.problems.catalogue import KINDS, ProblemKind
from serve_app.problems.error_table import build_refusal, find_kind
from serve_app.problems.errors import (
    DeadlineExceededError,
    ForeignSiteError,
    HostNotAllowedError,
    NotAcceptableError,
    NotReadyError,
    PortfolioDataError,
    PreconditionFailedError,
    PreconditionRequiredError,
    SessionInsecureError,
    TooManyRowsError,
    TooManyStreamsError,
    UnsupportedMediaTypeError,
)
from serve_app.upstream.errors import (
    HoldingsFileError,
    HoldingsMissingError,
    OrdersPartlyFilledError,
    UpstreamContractError,
    UpstreamUnavailableError,
)
from storage.errors import (
    HandOverInProgressError,
    IdempotencyInProgressError,
    IdempotencyMismatchError,
    NameTakenError,
    NotCompletedError,
    NotFoundError,
    OrdersInDoubtError,
    OrdersOpenError,
    OrdersSentError,
    RunEndedError,
    RunGoesOnError,
    StaleVersionError,
    StorageUnavailableError,
    SupersededError,
)
from storage.proposals.errors import (
    ApprovedAlreadyError,
    FourEyesError,
    NotApprovedError,
    NotProposerError,
    ProposalStateError,
    ProposedAlreadyError,
    RulesBrokenError,
)

MODELS = "/api/v1/models"
ONE_MODEL = f"/api/v1/model/{MODEL}"
POSITION = f"{ONE_MODEL}/position"
OF_MODEL = f"{ONE_MODEL}/rebalance"
ONE_REBALANCE = f"/api/v1/rebalance/{REBALANCE}"
ORDERS = f"{ONE_REBALANCE}/orders"
TRANSACTIONS = f"{ONE_REBALANCE}/transactions"
OF_PORTFOLIO = f"/api/v1/portfolio/{PORTFOLIO}/rebalance"
DECISIONS = f"/api/v1/proposal/{PROPOSAL}/decisions"
WITHDRAWAL = f"/api/v1/proposal/{PROPOSAL}/withdraw"
OLD = "it was proposed 90000 s ago, and PROPOSAL_TTL is 86400 s"
KEY = f"{DAY}/growth"
HEADING = Heading(REBALANCE, MODEL, DAY)

ANOTHER_REBALANCE = "6b03944ad41a9fc9100ec950"
OPEN = {"portfolio_id": PORTFOLIO, "rebalance_ids": [ANOTHER_REBALANCE], "open_orders": 40}
BROKEN = {"portfolio_id": PORTFOLIO, "rules": ["energy at most a tenth"]}
LATER = {"portfolio_id": PORTFOLIO, "rebalance_id": ANOTHER_REBALANCE}

# Paths and errors of whole requests.
OF_REQUESTS: tuple[tuple[str, Exception], ...] = (
    (ONE_MODEL, NotFoundError("model", MODEL)),
    (TRANSACTIONS, NotAcceptableError("image/png", ("application/json", "text/csv"))),
    (MODELS, NameTakenError("Growth")),
    (OF_MODEL, RunEndedError(REBALANCE, "CANCELLED", None)),
    (ONE_REBALANCE, RunGoesOnError(REBALANCE, REBALANCE)),
    (ONE_MODEL, StaleVersionError("model", MODEL, expected=2, actual=3)),
    (POSITION, TargetExistsError(SECURITY)),
    (POSITION, TargetDiffersError(SECURITY)),
    (OF_MODEL, IdempotencyInProgressError(KEY)),
    (ORDERS, NotCompletedError(REBALANCE, "STOPPED")),
    (ORDERS, HandOverInProgressError(REBALANCE, 180)),
    (ORDERS, OrdersOpenError(REBALANCE, (OPEN,), 1, 40)),
    (ORDERS, SupersededError(REBALANCE, (LATER,), 1)),
    (ONE_REBALANCE, OrdersSentError(REBALANCE, 100)),
    (ORDERS, NotApprovedError(REBALANCE, PROPOSAL, "STALE", OLD)),
    (f"{ONE_REBALANCE}/proposal", ProposedAlreadyError(REBALANCE, PROPOSAL)),
    (DECISIONS, FourEyesError(PROPOSAL, "anna", "proposed the orders")),
    (DECISIONS, ApprovedAlreadyError(PROPOSAL, "ben")),
    (WITHDRAWAL, NotProposerError(PROPOSAL, "ben", "anna")),
    (DECISIONS, ProposalStateError(PROPOSAL, "STALE", OLD)),
    (DECISIONS, RulesBrokenError(PROPOSAL, (BROKEN,), 1)),
    (
        MODELS,
        UnsupportedMediaTypeError(
            "Content-Type", "application/x-www-form-urlencoded", ("application/json",)
        ),
    ),
    (MODELS, AuthenticationError(INVALID)),
    (MODELS, ScopeMissingError("nightly-export", ("models:write",))),
    (ONE_MODEL, OutsideLimitsError("desk-7", "models", f"{MODEL} is none of them")),
    (MODELS, ProviderUnavailableError("https://id.example.com/jwks did not answer in time")),
    (MODELS, RateExceededError("nightly-export", 3.2)),
    ("/session", SignInFailedError(INVALID)),
    ("/session", SessionInsecureError("orders.example.com")),
    (MODELS, HostNotAllowedError("evil.example")),
    (OF_MODEL, ForeignSiteError("https://evil.example", "cross-site")),
    (ONE_MODEL, PreconditionFailedError('"2"', 3)),
    (ONE_MODEL, PreconditionRequiredError()),
    (
        MODELS,
        RuleError(("targets", 0, "weight"), Decimal("0.007"), "a target is a multiple of 0.005"),
    ),
    (OF_MODEL, IdempotencyMismatchError(KEY)),
    (TRANSACTIONS, TooManyRowsError(MAX_SHEET_ROWS)),
    (
        OF_PORTFOLIO,
        OptionsConflictError(
            "the cash floor is above the cash ceiling", ("cash_floor", "cash_ceiling")
        ),
    ),
    (OF_PORTFOLIO, EmptyModelError()),
    ("/api/v1/runs", HoldingsFileError("2026-11-23.parquet", "has no column portfolio_id")),
    (OF_PORTFOLIO, DeadlineExceededError("X-Request-Timeout", 2.5)),
    (OF_PORTFOLIO, UpstreamContractError("pricing", "/api/v1/prices answered 404")),
    (OF_PORTFOLIO, UpstreamUnavailableError("pricing", "/api/v1/prices answered 503", 2.0)),
    (ORDERS, OrdersInDoubtError(REBALANCE, 1000, 180)),
    (ONE_MODEL, StorageUnavailableError("the database did not answer in time")),
    (OF_MODEL, ReplicaLostError("Optimizer")),
    (OF_MODEL, OverloadedError("Optimizer")),
    (f"/api/v1/runs/{REBALANCE}/events", TooManyStreamsError(200)),
    (
        "/health/ready",
        NotReadyError(
            ("accounting",),
            {**CHECKS, "accounting": "failing"},
            {**BREAKERS, "accounting": "half-open"},
        ),
    ),
)
# Outcomes of portfolios without a plan.
OF_PORTFOLIOS: tuple[PortfolioOutcome, ...] = (
    INFEASIBLE,
    *(
        PortfolioOutcome(PORTFOLIO, Status.FAILED, None, None, None, refusal=build_refusal(error))
        for error in (
            NoSolutionInTimeError(PORTFOLIO, 30.0),
            PricesMissingError((SECURITY,)),
            HoldingsMissingError(PORTFOLIO),
            OrdersPartlyFilledError(PORTFOLIO, (4711,)),
            PortfolioDataError(("cash",), Decimal("NaN"), "cash is a finite amount"),
            CertificationError(PORTFOLIO, ("turnover_cap",)),
        )
    ),
)


def build_example(kind: ProblemKind) -> Json:
    """Make a whole problem of this kind, as an answer has it."""
    return {**_examples()[kind.code], "correlation_id": CORRELATION}


@cache
def _examples() -> Mapping[str, Json]:
    """Make the body of an answer of every kind, by code."""
    answers = [error_answer(error, find_kind(error), path) for path, error in OF_REQUESTS]
    answers += [refuse_one(OF_PORTFOLIO, HEADING, error, {}) for error in OF_PORTFOLIOS]
    answers += [
        http_answer(400, ONE_MODEL),
        http_answer(404, "/api/v1/modells"),
        http_answer(405, MODELS),
        http_answer(408, MODELS),
        http_answer(413, MODELS),
        invalid_answer(_not_json(), MODELS),
        invalid_answer(_bad_id(), "/api/v1/model/zz"),
        refuse_all(OF_MODEL, HEADING, _different_failures(), {}),
        _internal(),
    ]
    bodies: list[Json] = [orjson.loads(answer.body) for answer in answers]
    slugs = {kind.uri: slug for slug, kind in KINDS.items()}
    return {slugs[body["type"]]: body for body in bodies}


def _different_failures() -> list[PortfolioOutcome]:
    _, first, second, *_ = OF_PORTFOLIOS
    return [first, replace(second, portfolio_id=OTHER_PORTFOLIO)]


def _not_json() -> list[Json]:
    try:
        decode(b"{")
    except json.JSONDecodeError as error:
        return json_errors(error)
    raise AssertionError


def _bad_id() -> list[Mapping[str, Any]]:
    try:
        TypeAdapter(ObjectIdentifier).validate_python("zz")
    except ValidationError as error:
        return [{**entry, "loc": ("path", "model_id")} for entry in error.errors()]
    raise AssertionError


def _internal() -> Response:
    unforeseen = AssertionError()
    return error_answer(unforeseen, find_kind(unforeseen), ONE_MODEL)
