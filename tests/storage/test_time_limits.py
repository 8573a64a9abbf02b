"""No store waits longer than the time-out of the database, whichever of its methods is called."""

import asyncio
import inspect
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pymongo import timeout
from pymongo.asynchronous.database import AsyncDatabase

from optimization import BandStatus
from optimization.domain.options import NO_OVERRIDES
from storage.audit.trail import Action
from storage.audit_log import AuditFilter, AuditLog
from storage.drift.line_store import DriftLineStore, LineFilter
from storage.drift.scan import DriftLine, DriftScan, ScanStatus
from storage.drift.scan_store import DriftScanStore
from storage.embedded import server as embedded
from storage.errors import StorageUnavailableError
from storage.idempotency_store import IdempotencyClaim, IdempotencyStore
from storage.models.history import ModelHistory
from storage.models.model_store import ModelStore
from storage.mongo.connection import Document, connect, disconnect
from storage.orders.open_order_store import OpenOrderStore
from storage.orders.order import Batch, OrderState, Settlement
from storage.orders.order_store import OrderStore
from storage.orders.portfolio_claim_store import PortfolioClaimStore
from storage.orders.submission_store import OrderSubmissionStore
from storage.proposals.proposal import Hold
from storage.rebalances.outcome_search import OutcomeFilter
from storage.rebalances.rebalance import RebalanceStatus
from storage.rebalances.rebalance_store import RebalanceStore
from storage.runs.chunk_store import Chunk, ChunkStore, Report
from storage.runs.run import HoldingsRef, Run, RunPlan, RunStatus, Selection, Snapshot, Totals
from storage.runs.run_store import RunStore
from tests.storage.embedded.test_server import freeze
from tests.storage.orders.test_order_store import some
from tests.support.samples import (
    NOON,
    make_answers,
    make_id,
    make_model,
    make_outcomes,
    make_rebalance,
)

pytestmark = pytest.mark.mongo

TIMEOUT_S = 0.3
GIVE_UP_S = 15.0  # on a busy machine; without its bound a transaction is repeated for 120 s
ID = "6" * 24
REBALANCE = make_rebalance()
ORDERS = some(ID, 2)
CHUNK = Chunk(ID, 0, (make_id("P", 0),))
TOTALS = Totals()
SNAPSHOT = Snapshot("one", NOON, {})

ARGUMENTS: dict[str, Any] = {
    "action": Action.ORDERS_SENT,
    "at": NOON,
    "before": NOON,
    "batch": Batch(ID, "claim", NOON, ORDERS),
    "chunks": [CHUNK],
    "claim": IdempotencyClaim("key", "me"),
    "claimed_before": NOON,
    "closures": ["key"],
    "completes": IdempotencyClaim("key", "me"),
    "done_at": NOON,
    "finished_at": NOON,
    "first_number": 1,
    "first": 0,
    "holds": [Hold(make_id("P", 0), make_id("S", 0), "ada", NOON)],
    "key": "key",
    "keys": ["key"],
    "lease_s": 30.0,
    "limit": 10,
    "max_orders": 10,
    "model": replace(make_model(), model_id=ID, version=1),
    "model_id": ID,
    "moment": NOON,
    "now": NOON,
    "offset": 0,
    "order_ids": {"key": 1},
    "orders": ORDERS,
    "ordinals": range(3),
    "outcomes": make_outcomes(REBALANCE),
    "outcome": make_answers(REBALANCE, range(3)),
    "owner": "me",
    "plan": RunPlan(SNAPSHOT, HoldingsRef("summaries"), 1, 1, 1, NOON),
    "portfolio_id": make_id("P", 0),
    "portfolio_ids": [make_id("P", 0)],
    "rebalance": REBALANCE,
    "rebalance_id": ID,
    "rebalance_ids": [ID],
    "reference": ID,
    "reports": [(CHUNK, Report({}, {}, {}))],
    "request_hash": "hash",
    "run": Run(ID, Selection(), NO_OVERRIDES, HoldingsRef("summaries"), NOON),
    "run_id": ID,
    "scan": DriftScan(ID, NOON),
    "scan_id": ID,
    "security_ids": [make_id("S", 0)],
    "settlements": {"key": Settlement(OrderState.SENT, 1)},
    "status": RebalanceStatus.COMPLETED,
    "statuses": {"key": "FILL"},
    "timestamp": NOON,
    "token": "token",
    "totals": TOTALS,
    "seq": 1,
    "max_scans": 1,
    "counts": {},
    "portfolios": 1,
    "lines": [DriftLine(make_id("P", 0), ID, BandStatus.FAILED)],
    "since": NOON,
    "sort": (),
    "states": [OrderState.SENT],
    "version": 1,
    "criteria": AuditFilter(),
    "what": {},
}
OF_STORE: dict[type[Any], dict[str, Any]] = {
    RunStore: {"status": RunStatus.COMPLETED, "statuses": [RunStatus.COMPLETED]},
    RebalanceStore: {"criteria": OutcomeFilter()},
    DriftLineStore: {"criteria": LineFilter()},
    DriftScanStore: {"statuses": [ScanStatus.COMPLETED]},
}


def stores(database: AsyncDatabase[Document]) -> Iterator[Any]:
    hand_overs = OrderSubmissionStore(database)
    for kind in (
        AuditLog,
        ModelHistory,
        ModelStore,
        RebalanceStore,
        RunStore,
        ChunkStore,
        DriftScanStore,
        DriftLineStore,
        IdempotencyStore,
        OpenOrderStore,
        OrderStore,
    ):
        yield kind(database)
    yield hand_overs
    yield PortfolioClaimStore(database, hand_overs)


def methods(database: AsyncDatabase[Document]) -> dict[str, Callable[[], Any]]:
    """List every public method of every store by name, bound to arguments."""
    found: dict[str, Callable[[], Any]] = {}
    for store in stores(database):
        known = ARGUMENTS | OF_STORE.get(type(store), {})
        for name in (name for name in vars(type(store)) if not name.startswith("_")):
            method = getattr(store, name)
            taken = inspect.signature(method).parameters.values()
            needed = {parameter.name for parameter in taken if parameter.default is parameter.empty}
            assert needed <= known.keys(), f"{name} of {store} needs more ARGUMENTS"
            given = {
                parameter.name: known[parameter.name]
                for parameter in taken
                if parameter.name in known
            }
            found[f"{type(store).__name__}.{name}"] = partial(method, **given)
    return found


async def outcome_of(call: Callable[[], Any]) -> str:
    """Outcome of a call: the name of its error, or a note that the call still waits."""
    try:
        async with asyncio.timeout(GIVE_UP_S):
            answer = call()
            if inspect.isasyncgen(answer):
                await anext(answer)
            else:
                await answer
    except TimeoutError:
        return "still waits"
    except Exception as error:  # noqa: BLE001 - its name is the answer
        return type(error).__name__
    return "returned"


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "data"
    embedded.stop(tmp_path / "data")


@pytest.fixture(autouse=True)
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, module in tuple(sys.modules.items()):
        if name.startswith("storage."):
            monkeypatch.setattr(module, "WRITER_TIMEOUT_S", TIMEOUT_S, raising=False)


async def test_no_method_of_a_store_outlasts_its_time_out_when_the_server_is_frozen(
    directory: Path,
) -> None:
    server = embedded.start(directory)
    database = connect(server.uri, "frozen", round(TIMEOUT_S * 1000), max_connections=100)
    calls = methods(database)
    with timeout(GIVE_UP_S):  # because a busy machine takes longer to make the connections
        await asyncio.gather(*(database.command("ping") for _ in calls))
    freeze(server.pid)

    answers = await asyncio.gather(*map(outcome_of, calls.values()))

    os.kill(server.pid, signal.SIGCONT)
    await disconnect(database)
    bounded = StorageUnavailableError.__name__
    assert {name: said for name, said in zip(calls, answers, strict=True) if said != bounded} == {}


async def test_no_method_of_a_store_outlasts_its_time_out_when_the_server_is_gone(
    directory: Path,
) -> None:
    server = embedded.start(directory)
    database = connect(server.uri, "gone", round(TIMEOUT_S * 1000), max_connections=100)
    calls = methods(database)
    await database.command("ping")
    embedded.stop(directory)

    answers = await asyncio.gather(*map(outcome_of, calls.values()))

    await disconnect(database)
    bounded = StorageUnavailableError.__name__
    assert {name: said for name, said in zip(calls, answers, strict=True) if said != bounded} == {}
