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
from serve_app.client import AsyncClient, Client
from serve_app.client.call import Group, Options, PortfolioOptions
from serve_app.client.responses import (
    audit as client_audit,
)
from serve_app.client.responses import (
    drift as client_drift,
)
from serve_app.client.responses import (
    models as client_models,
)
from serve_app.client.responses import (
    names as client_names,
)
from serve_app.client.responses import (
    orders as client_orders,
)
from serve_app.client.responses import (
    outcomes as client_outcomes,
)
from serve_app.client.responses import (
    positions as client_positions,
)
from serve_app.client.responses import (
    rebalances as client_rebalances,
)
from serve_app.client.responses import (
    runs as client_runs,
)
from serve_app.client.responses import (
    sessions as client_sessions,
)
from serve_app.client.responses import (
    trades as client_trades,
)
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
    client_models.Position: positions.GeneralPositionAnswer,
    client_models.Model: models.ModelAnswer,
    client_models.FieldChange: model_versions.FieldChange,
    client_models.PositionChange: model_versions.PositionChange,
    client_models.ModelChanges: model_versions.ModelChangesAnswer,
    client_models.ModelVersion: model_versions.ModelVersionAnswer,
    client_models.WholeModelVersion: model_versions.WholeModelVersionAnswer,
    client_outcomes.Transaction: TransactionAnswer,
    client_outcomes.Drift: DriftAnswer,
    client_outcomes.Binding: BindingAnswer,
    client_outcomes.PortfolioOutcome: RebalanceAnswer,
    client_positions.PositionDetail: position_details.GivenPositionDetail,
    client_trades.TradeDetail: trades.TradeDetail,
    client_trades.TradeTotals: trades.TradeTotalsAnswer,
    client_trades.TotalsOfTrades: trades.TotalsOfTrades,
    client_outcomes.OutcomeTotals: outcome_summaries.OutcomeTotalsAnswer,
    client_outcomes.LastOutcome: outcome_summaries.LastOutcomeAnswer,
    client_rebalances.PositionResult: stored_rebalances.PositionResult,
    client_rebalances.RebalanceResult: stored_rebalances.RebalanceResult,
    client_orders.TransactionLine: TransactionLine,
    client_orders.OrderLine: orders.OrderLine,
    client_orders.OrderSubmission: orders.HandOverAnswer,
    client_drift.Standing: drift.StandingAnswer,
    client_drift.PortfolioDrift: drift.PortfolioDriftAnswer,
    client_drift.LargestDeviation: drift.LargestDeviation,
    client_drift.DriftSummary: drift.DriftSummaryAnswer,
    client_rebalances.Deleted: stored_rebalances.Deleted,
    client_names.PortfolioName: names.PortfolioName,
    client_names.SecurityTicker: names.SecurityTicker,
    client_audit.AuditEntry: audit.AuditEntryAnswer,
    client_audit.ChainLink: audit.ChainLink,
    client_audit.AuditHead: audit.AuditHeadAnswer,
    client_sessions.Caller: sessions.CallerAnswer,
    client_sessions.SessionState: sessions.SessionAnswer,
    client_sessions.SignInWays: sessions.SignInAnswer,
    client_runs.Progress: runs.Progress,
    client_runs.Holdings: runs.HoldingsSource,
    client_runs.ChunkError: runs.ChunkError,
    client_runs.Run: runs.RunAnswer,
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
    names = {field.name for field in fields(client_rebalances.PortfolioResult)}

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
