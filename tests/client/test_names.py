"""The Python client and the service use the same names, and the client is light."""

import subprocess
import sys
from dataclasses import fields
from typing import Any, cast

import pytest
from pydantic import BaseModel

from serve_app.api.app import api_app
from serve_app.api.exports.transactions import TransactionLine
from serve_app.api.schemas import (
    audit,
    drift,
    model_versions,
    models,
    names,
    options,
    orders,
    outcome_summaries,
    position_details,
    positions,
    runs,
    sessions,
    stored_rebalances,
    trades,
)
from serve_app.api.schemas.rebalances import (
    BindingAnswer,
    DriftAnswer,
    RebalanceAnswer,
    TransactionAnswer,
)
from serve_app.client import (
    AsyncClient,
    Client,
    audit_models,
    outcome_models,
    position_models,
    run_models,
    session_models,
    trade_models,
)
from serve_app.client import models as answers
from serve_app.client.call import Group, Options, PortfolioOptions
from serve_app.settings import read_settings

HEAVY = [
    "ray",
    "cvxpy",
    "highspy",
    "scipy",
    "numpy",
    "pymongo",
    "bson",
    "fastapi",
    "starlette",
    "uvicorn",
    "aiohttp",
]
FOR_PROGRAMS_OF_OTHERS = {"health", "metrics", "begin_session", "end_session"}
PAIRS: dict[type, type[Any]] = {
    answers.Position: positions.GeneralPositionAnswer,
    answers.Model: models.ModelAnswer,
    answers.FieldChange: model_versions.FieldChange,
    answers.PositionChange: model_versions.PositionChange,
    answers.ModelChanges: model_versions.ModelChangesAnswer,
    answers.ModelVersion: model_versions.ModelVersionAnswer,
    answers.WholeModelVersion: model_versions.WholeModelVersionAnswer,
    answers.Transaction: TransactionAnswer,
    answers.Drift: DriftAnswer,
    answers.Binding: BindingAnswer,
    answers.PortfolioOutcome: RebalanceAnswer,
    position_models.PositionDetail: position_details.GivenPositionDetail,
    trade_models.TradeDetail: trades.TradeDetail,
    trade_models.TradeTotals: trades.TradeTotalsAnswer,
    trade_models.TotalsOfTrades: trades.TotalsOfTrades,
    outcome_models.OutcomeTotals: outcome_summaries.OutcomeTotalsAnswer,
    outcome_models.LastOutcome: outcome_summaries.LastOutcomeAnswer,
    answers.PositionResult: stored_rebalances.PositionResult,
    answers.RebalanceResult: stored_rebalances.RebalanceResult,
    answers.TransactionLine: TransactionLine,
    answers.OrderLine: orders.OrderLine,
    answers.OrderSubmission: orders.HandOverAnswer,
    answers.Standing: drift.StandingAnswer,
    answers.PortfolioDrift: drift.PortfolioDriftAnswer,
    answers.LargestDeviation: drift.LargestDeviation,
    answers.DriftSummary: drift.DriftSummaryAnswer,
    answers.Deleted: stored_rebalances.Deleted,
    answers.PortfolioName: names.PortfolioName,
    answers.SecurityTicker: names.SecurityTicker,
    audit_models.AuditEntry: audit.AuditEntryAnswer,
    audit_models.ChainLink: audit.ChainLink,
    audit_models.AuditHead: audit.AuditHeadAnswer,
    session_models.Caller: sessions.CallerAnswer,
    session_models.SessionState: sessions.SessionAnswer,
    session_models.SignInWays: sessions.SignInAnswer,
    run_models.Progress: runs.Progress,
    run_models.Holdings: runs.HoldingsSource,
    run_models.ChunkError: runs.ChunkError,
    run_models.Run: runs.RunAnswer,
}


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_every_route_of_the_service_is_a_method_under_its_name(client: type) -> None:
    app = api_app(read_settings(), cast("Any", None))
    operations = [each for path in app.openapi()["paths"].values() for each in path.values()]
    names = {each["operationId"] for each in operations}

    assert len(names) == len(operations)
    assert {name for name in names if not hasattr(client, name)} == FOR_PROGRAMS_OF_OTHERS


@pytest.mark.parametrize("kind", PAIRS, ids=lambda kind: kind.__name__)
def test_an_answer_has_the_fields_that_the_service_sends(kind: Any) -> None:
    assert {field.name for field in fields(kind)} == set(PAIRS[kind].__annotations__)


def test_the_outcome_of_a_run_has_the_id_of_its_rebalance_too() -> None:
    names = {field.name for field in fields(answers.PortfolioResult)}

    assert names == {*stored_rebalances.PortfolioResult.__annotations__, "rebalance_id"}


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (Options, options.RebalanceOptionsBody),
        (PortfolioOptions, options.PortfolioRebalanceOptionsBody),
        (Group, options.GroupBody),
    ],
)
def test_options_have_the_names_that_the_service_takes(sent: Any, body: type[BaseModel]) -> None:
    assert set(sent.__annotations__) == set(body.model_fields)


@pytest.mark.parametrize("module", ["serve_app.client", "serve_app.cli"])
def test_neither_the_client_nor_the_help_of_the_command_loads_anything_heavy(module: str) -> None:
    program = f"import sys, {module}; print([m for m in {HEAVY} if m in sys.modules])"

    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )

    assert printed.stdout.strip() == "[]"
