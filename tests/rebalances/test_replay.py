"""Replay of a stored rebalance: outcomes that agree, differ, or cannot be compared."""

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
from bson.decimal128 import Decimal128
from click.testing import Result
from fastapi import FastAPI
from typer.testing import CliRunner

from serve_app.cli import cli
from serve_app.client import AsyncClient, Options, PortfolioOutcome, Position
from serve_app.rebalances import replay as replaying
from tests.support.fakes import PRICE, A, B, P, Q, R
from tests.support.in_process import Upstreams

C = "C" * 24
LOST = "L" * 24
LINES = [
    Position(security_id, Decimal("0.4"), Decimal("0.02"), Decimal("0.02"))
    for security_id in (A, B)
]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"cash_flow": "-25.5", "cash_floor": "1%"},
    {"cash_flow": "33.10", "maximum_trades": 3, "fewest_trades": True},
    {"lots": {A: "0.5"}, "do_not_sell": [C], "cost_rate": "0.001"},
    {"groups": [{"name": "both", "security_ids": [A, B], "high": "0.78"}], "turnover_cap": "95%"},
    {"scope": "DRIFTED_TO_EDGE", "direction": "BUY_ONLY"},
]


@pytest.fixture
def upstreams() -> Upstreams:
    world = Upstreams({A: PRICE, B: Decimal("31.4999"), C: Decimal("7.77")})
    world.set_balance(P, "10000.01", **{A: 2, C: 40})
    world.set_balance(Q, "7500", **{B: "30.25", C: "-3"})
    world.set_balance(R, "0.50")
    return world


@pytest.fixture
async def service(app: FastAPI) -> AsyncIterator[AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with AsyncClient("http://localhost", transport=transport) as client:
        yield client


async def store_outcomes(service: AsyncClient, **options: Any) -> tuple[PortfolioOutcome, ...]:
    model = await service.add_model("Growth", LINES, [P, Q, R, LOST])
    return await service.rebalance_model(model.model_id, Options(**options))


async def replay(mongodb_uri: str, database: Any, rebalance_id: str | None, *flags: str) -> Result:
    environment = {"MONGODB_URI": mongodb_uri, "DATABASE_NAME": database.name, "COLUMNS": "200"}
    runner = CliRunner(env=environment)
    return await asyncio.to_thread(runner.invoke, cli, ["replay", str(rebalance_id), *flags])


@pytest.mark.parametrize("options", OPTIONS, ids=str)
async def test_every_outcome_with_its_input_agrees_to_the_last_digit(
    service: AsyncClient,
    database: Any,
    mongodb_uri: str,
    options: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replaying, "OUTCOME_BATCH_SIZE", 2)
    outcomes = await store_outcomes(service, **options)
    assert outcomes[0].status == "REBALANCED", outcomes[0].error

    again = await replay(mongodb_uri, database, outcomes[0].rebalance_id)

    assert again.exit_code == 0, again.output
    assert again.stdout == (f"{outcomes[0].rebalance_id}: 3 agree, 1 failed, without input\n")


async def test_a_digit_that_was_changed_is_found_and_ends_with_1(
    service: AsyncClient, database: Any, mongodb_uri: str
) -> None:
    outcomes = await store_outcomes(service)
    assert outcomes[0].objective is not None
    wrong = outcomes[0].objective + Decimal("0.0000001")
    changed = {"$set": {"objective": Decimal128(wrong)}, "$inc": {"after.0": 1}}
    await database["outcomes"].update_one({"portfolio_id": P}, changed)

    again = await replay(mongodb_uri, database, outcomes[0].rebalance_id)

    assert again.exit_code == 1
    assert "2 agree, 1 differ, 1 failed" in again.stdout
    assert f"{P} holdings: " in again.stdout
    assert f"{P} objective: {wrong} stored, {outcomes[0].objective} now" in again.stdout


async def test_a_program_gets_counts_and_differences_as_json(
    service: AsyncClient, database: Any, mongodb_uri: str
) -> None:
    outcomes = await store_outcomes(service)
    changed = {"$set": {"objective": Decimal128("7.5")}}
    await database["outcomes"].update_one({"portfolio_id": P}, changed)

    again = await replay(mongodb_uri, database, outcomes[0].rebalance_id, "--json")
    missing = await replay(mongodb_uri, database, "0" * 24, "--json")

    found = json.loads(again.stdout)
    (difference,) = found["differences"]
    assert (again.exit_code, found["counts"]["differ"]) == (1, 1)
    assert (difference["portfolio_id"], difference["field"]) == (P, "objective")
    assert (difference["stored"], difference["now"]) == ("7.5", str(outcomes[0].objective))
    assert (missing.exit_code, json.loads(missing.stdout)["title"]) == (1, "Refused")


async def test_what_a_time_limit_ended_is_counted_apart(
    service: AsyncClient, database: Any, mongodb_uri: str
) -> None:
    outcomes = await store_outcomes(service)
    ended = {"$set": {"proof": "FEASIBLE_TIME_LIMIT"}}
    await database["outcomes"].update_one({"portfolio_id": Q}, ended)

    again = await replay(mongodb_uri, database, outcomes[0].rebalance_id)

    assert again.exit_code == 0
    assert "2 agree, 1 failed, without input, 1 ended by time" in again.stdout


async def test_a_rebalance_that_is_not_there_is_refused(database: Any, mongodb_uri: str) -> None:
    again = await replay(mongodb_uri, database, "0" * 24)

    assert again.exit_code == 1
    assert "rebalance" in again.stderr


def test_without_a_database_the_setting_is_named(tmp_path: Any) -> None:
    runner = CliRunner(env={"DATA_DIRECTORY": str(tmp_path / "none")})

    again = runner.invoke(cli, ["replay", "0" * 24])

    assert again.exit_code == 2
    assert "MONGODB_URI" in again.stderr
    assert not (tmp_path / "none").exists()
