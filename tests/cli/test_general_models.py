"""Model commands at a service under the general rules: tickers, fractions and relative bands."""

import json
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from serve_app.client import AsyncClient, Position
from serve_app.settings import Settings, read_settings
from tests.support.command_server import Ordergen
from tests.support.general_models import ACCOUNT, FUND, HOUSEHOLD, STOCK, THIRDS, make_general_model

TABLE = """security,target,relative_drift,absolute_drift
VTI,1/3,25%,5%
BRK.B,0.4,10%,5%
"""


@pytest.fixture
def settings() -> Settings:
    return read_settings({"model_rules": "general"})


async def create(ordergen: Ordergen) -> dict[str, Any]:
    done = await ordergen("models", "create", "-", "--json", stdin=json.dumps(make_general_model()))
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


async def test_a_model_is_created_and_shown_with_its_bands_in_market_value(
    ordergen: Ordergen,
) -> None:
    model = await create(ordergen)

    shown = await ordergen("models", model["model_id"])

    assert model["positions"][0] == {
        "security_id": STOCK,
        "target": "1/3",
        "relative_drift": 0.25,
        "absolute_drift": 0.05,
    }
    (line,) = (line for line in shown.stdout.splitlines() if STOCK in line)
    percentages = [word for word in line.split() if word.endswith("%")]
    assert percentages == ["33.3333%", "5.0000%", "5.0000%"]


async def test_a_target_is_set_to_a_fraction_and_keeps_its_band(ordergen: Ordergen) -> None:
    model = await create(ordergen)
    changes = ("--set", f"{STOCK}=1/7", "--set", "A=B=1/99,0.5%,2%", "--add-portfolio", "日本/1")

    done = await ordergen("models", "edit", model["model_id"], *changes, "--json")

    assert done.exit_code == 0, done.output
    changed = json.loads(done.stdout)
    assert changed["portfolios"] == [ACCOUNT, HOUSEHOLD, "日本/1"]
    assert changed["positions"][0] == model["positions"][0] | {"target": "1/7"}
    assert changed["positions"][-1]["security_id"] == "A=B"


async def test_a_table_with_relative_bands_is_stored_as_it_is(
    ordergen: Ordergen, tmp_path: Path
) -> None:
    path = tmp_path / "model.csv"
    path.write_text(TABLE)

    done = await ordergen(
        "models", "create", "--from-csv", str(path), "--name", "T", "--portfolio", "a/b", "--json"
    )

    assert done.exit_code == 0, done.output
    vti, share = json.loads(done.stdout)["positions"]
    assert (vti["target"], vti["relative_drift"], vti["absolute_drift"]) == ("1/3", 0.25, 0.05)
    assert (share["security_id"], share["relative_drift"]) == ("BRK.B", 0.1)


async def test_the_client_reads_changes_and_writes_positions_of_both_kinds(url: str) -> None:
    async with AsyncClient(url) as service:
        lines = [Position(**members) for members in THIRDS]
        model = await service.add_model("Thirds", lines, [ACCOUNT])
        gold = Position("Gold (oz)", Fraction(1, 1000), relative_drift=Decimal("0.50"))
        more = await service.add_position(model.model_id, gold, version=1)
        less = await service.remove_position(model.model_id, more.positions[-1])
        renamed = await service.replace_model(replace(less, name="Renamed"))

    assert model.positions[2].security_id == FUND
    assert less.positions == renamed.positions == model.positions
    assert model.positions[0].high_drift is None


async def test_positions_of_a_stored_rebalance_are_read_with_their_fractions(
    url: str, ordergen: Ordergen
) -> None:
    async with AsyncClient(url) as service:
        lines = [Position(**members) for members in THIRDS]
        model = await service.add_model("Thirds", lines, [ACCOUNT])
        (outcome,) = await service.rebalance_model(model.model_id)
        rebalance_id = str(outcome.rebalance_id)
        positions = await service.list_positions(rebalance_id, ACCOUNT)
        whole = [portfolio async for portfolio in service.list_portfolios(rebalance_id)]

    shown = await ordergen("show", rebalance_id, "--portfolio", ACCOUNT)

    assert positions[0].target == Fraction(1, 3)
    assert positions[0].low_drift == Decimal("0.05")
    assert whole[0].positions == positions
    assert (shown.exit_code, "33.3333%" in shown.stdout) == (0, True), shown.output
