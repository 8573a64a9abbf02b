"""Options of a rebalance over HTTP."""

from decimal import Decimal
from typing import Any

import httpx
import pytest

from optimization.domain.options import BandRule, Direction, GroupBand, Percent, Scope
from tests.support.fakes import A, B, FakeOptimizer

NOWHERE = "0" * 24


async def test_options_reach_the_optimizer_exactly_and_with_the_correlation_id(
    client: httpx.AsyncClient, optimizer: FakeOptimizer, model: dict[str, Any]
) -> None:
    path = f"/api/v1/model/{model['model_id']}/rebalance"
    headers = {"content-type": "application/json", "x-correlation-id": "desk-7"}

    await client.post(path, content='{"cash_floor": 100.10}', headers=headers)
    await client.post(path, content="{}", headers=headers)
    await client.post(path, headers=headers)

    floor = {"cash_floor": Decimal("100.10")}
    assert optimizer.asked == [(floor, "desk-7"), ({}, "desk-7"), ({}, "desk-7")]


EVERY_OPTION = {
    "cash_floor": "2.5%",
    "cash_ceiling": 1000,
    "cash_flow": "-50.25",
    "direction": "BUY_ONLY",
    "scope": "DRIFTED_TO_EDGE",
    "do_not_buy": [A],
    "do_not_sell": [],
    "frozen": [B],
    "lots": {A: "0.5"},
    "minimum_shares": 1,
    "minimum_value": "10",
    "maximum_value": "7.5%",
    "volume_share": "0.05",
    "maximum_trades": 5,
    "turnover_cap": "150%",
    "cost_rate": "0.001",
    "cost_per_trade": 2,
    "costs_in_objective": True,
    "groups": [{"name": "tech", "security_ids": [A, B], "high": "0.3"}],
    "bands": None,
    "soft_band_price": 10,
    "fewest_trades": None,
    "volumes": {A: "1250000", B: 0},
}
EVERY_OPTION_READ = {
    "cash_floor": Percent(Decimal("2.5")),
    "cash_ceiling": Decimal(1000),
    "cash_flow": Decimal("-50.25"),
    "direction": Direction.BUY_ONLY,
    "scope": Scope.DRIFTED_TO_EDGE,
    "do_not_buy": frozenset({A}),
    "do_not_sell": frozenset(),
    "frozen": frozenset({B}),
    "lots": {A: Decimal("0.5")},
    "minimum_shares": Decimal(1),
    "minimum_value": Decimal(10),
    "maximum_value": Percent(Decimal("7.5")),
    "volume_share": Decimal("0.05"),
    "maximum_trades": 5,
    "turnover_cap": Percent(Decimal(150)),
    "cost_rate": Decimal("0.001"),
    "cost_per_trade": Decimal(2),
    "costs_in_objective": True,
    "groups": (GroupBand("tech", frozenset({A, B}), Decimal(0), Decimal("0.3")),),
    "bands": None,
    "soft_band_price": Decimal(10),
    "fewest_trades": False,
    "volumes": {A: Decimal(1250000), B: Decimal(0)},
}


async def test_every_option_has_a_json_form(
    client: httpx.AsyncClient, optimizer: FakeOptimizer, model: dict[str, Any]
) -> None:
    answer = await client.post(f"/api/v1/model/{model['model_id']}/rebalance", json=EVERY_OPTION)

    assert answer.status_code == 200
    [(options, _)] = optimizer.asked
    assert options == EVERY_OPTION_READ


@pytest.mark.parametrize("rule", BandRule)
async def test_bands_are_said_to_hold_or_to_yield(
    client: httpx.AsyncClient, optimizer: FakeOptimizer, model: dict[str, Any], rule: BandRule
) -> None:
    path = f"/api/v1/model/{model['model_id']}/rebalance"

    answer = await client.post(path, json={"bands": str(rule)})
    other = await client.post(path, json={"bands": "SOFT"})

    assert (answer.status_code, other.status_code) == (200, 422)
    assert [options for options, _ in optimizer.asked] == [{"bands": rule}]


async def test_a_model_carries_default_options_that_a_put_without_any_leaves_as_they_are(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    path = f"/api/v1/model/{model['model_id']}"
    options = {"cash_floor": "2.5%", "frozen": [A], "maximum_trades": 5}
    options |= {"lots": {A: "0.5"}, "volumes": {A: "1250000"}}

    given = await client.put(path, json={**model, "rebalance_options": options})
    left = await client.put(path, json={**model, "version": 2})
    cleared = await client.put(path, json={**model, "version": 3, "rebalance_options": {}})

    assert "rebalance_options" not in model
    assert given.json()["rebalance_options"] == options
    assert left.json()["rebalance_options"] == options
    assert cleared.json()["rebalance_options"] == {}


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        ({"cash_floors": 1}, "/cash_floors"),
        ({"cash_floor": -1}, "/cash_floor"),
        ({"cash_floor": "much"}, "/cash_floor"),
        ({"model_id": NOWHERE}, "/model_id"),  # an option of POST /portfolio/{id}/rebalance alone
    ],
)
async def test_an_option_that_does_not_exist_or_has_a_wrong_value_is_refused_by_name(
    client: httpx.AsyncClient, model: dict[str, Any], options: dict[str, object], pointer: str
) -> None:
    answer = await client.post(f"/api/v1/model/{model['model_id']}/rebalance", json=options)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
