"""Rebalances of stored models under MODEL_RULES=general, from holdings to orders and exports."""

import csv
import io
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import httpx
import pyarrow.parquet as pq
import pytest

from serve_app.api.media_types import PARQUET
from serve_app.rebalances.replay import AGREE, replay_rebalance
from serve_app.settings import Settings, read_settings
from tests.support.fakes import Stored
from tests.support.flaky_order_service import OrderDesk
from tests.support.general_models import (
    ACCOUNT,
    HOUSEHOLD,
    SHARE,
    STOCK,
    THIRDS,
    make_general_model,
    make_two_households,
)
from tests.support.in_process import Upstreams


@pytest.fixture
def settings() -> Settings:
    return read_settings({"model_rules": "general"})


@pytest.fixture
def upstreams() -> Upstreams:
    return make_two_households()


@pytest.fixture
async def model_id(client: httpx.AsyncClient) -> str:
    answer = await client.post("/api/v1/models", json=make_general_model())
    assert answer.status_code == 201, answer.text
    return answer.json()["model_id"]


@pytest.fixture
async def outcomes(client: httpx.AsyncClient, model_id: str) -> list[dict[str, Any]]:
    answer = await client.post(f"/api/v1/model/{model_id}/rebalance", json={"cash_floor": "1%"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_all_portfolios_of_a_model_are_rebalanced(outcomes: list[dict[str, Any]]) -> None:
    assert [each["portfolio_id"] for each in outcomes] == [ACCOUNT, HOUSEHOLD]
    assert {each["status"] for each in outcomes} == {"REBALANCED"}
    drifts = {each["security_id"]: each for each in outcomes[0]["drifts"]}
    assert drifts[STOCK]["target"] == "1/3"
    assert (drifts[STOCK]["low_drift"], drifts[STOCK]["high_drift"]) == ("0.05", "0.05")
    assert drifts[SHARE]["target"] == "2/6"
    assert abs(Decimal(drifts[STOCK]["actual"]) - Decimal(1) / 3) <= Decimal("0.05")


async def test_one_portfolio_whose_id_has_a_slash_is_rebalanced(
    client: httpx.AsyncClient, model_id: str
) -> None:
    path = f"/api/v1/portfolio/{quote(ACCOUNT, safe='')}"

    rebalanced = await client.post(f"{path}/rebalance", json={"frozen": [STOCK]})
    drift = await client.get(f"{path}/drift")

    assert rebalanced.status_code == 200, rebalanced.text
    assert rebalanced.json()["portfolio_id"] == ACCOUNT
    assert rebalanced.json()["model_id"] == model_id
    assert STOCK not in {each["security_id"] for each in rebalanced.json()["transactions"]}
    assert drift.json()["portfolio_id"] == ACCOUNT
    assert drift.json()["drifts"][1]["target"] == "2/6"


async def test_an_id_that_breaks_the_rule_is_a_400(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"/api/v1/portfolio/{'P' * 65}/rebalance")

    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/bad-id")
    assert "1 to 64 printable characters" in answer.json()["detail"]


async def test_a_stored_rebalance_shows_fractions_as_text_and_decimals_as_numbers(
    client: httpx.AsyncClient, outcomes: list[dict[str, Any]]
) -> None:
    path = f"/api/v1/rebalance/{outcomes[0]['rebalance_id']}"
    own = f"{path}/portfolio/{quote(ACCOUNT, safe='')}/positions"

    whole = (await client.get(path)).json()
    positions = (await client.get(own)).json()

    assert [each["portfolio_id"] for each in whole["portfolios"]] == [ACCOUNT, HOUSEHOLD]
    assert whole["portfolios"][0]["positions"] == positions
    assert [each["security_id"] for each in positions] == [each["security_id"] for each in THIRDS]
    assert [each["target"] for each in positions[:2]] == ["1/3", "2/6"]
    assert positions[2]["target"] == 0.123456789012
    assert positions[2]["low_drift"] == 0.061728394506


async def test_rebalances_are_found_by_a_natural_portfolio_id(
    client: httpx.AsyncClient, outcomes: list[dict[str, Any]]
) -> None:
    path = "/api/v1/rebalances/portfolios"

    found = (await client.post(path, json={"portfolios": [HOUSEHOLD, "nobody"]})).json()

    assert [each["rebalance_id"] for each in found] == [outcomes[0]["rebalance_id"]]
    assert [each["portfolio_id"] for each in found[0]["portfolios"]] == [HOUSEHOLD]


async def test_transactions_are_exported_without_a_formula(
    client: httpx.AsyncClient, outcomes: list[dict[str, Any]]
) -> None:
    path = f"/api/v1/rebalance/{outcomes[0]['rebalance_id']}/transactions"
    accept = {"accept": "text/csv"}

    table = await client.get(path, params={"portfolio_id": HOUSEHOLD}, headers=accept)
    columns = await client.get(path, headers={"accept": PARQUET})

    rows = [*csv.DictReader(io.StringIO(table.text))]
    assert {row["portfolio_id"] for row in rows} == {f"'{HOUSEHOLD}"}
    assert {row["security_id"] for row in rows} <= {each["security_id"] for each in THIRDS}
    ids = pq.read_table(io.BytesIO(columns.content))["portfolio_id"].to_pylist()
    assert set(ids) == {ACCOUNT, HOUSEHOLD}


async def test_orders_are_handed_over_with_natural_ids(
    client: httpx.AsyncClient, outcomes: list[dict[str, Any]], desk: OrderDesk
) -> None:
    path = f"/api/v1/rebalance/{outcomes[0]['rebalance_id']}/orders"

    handed = (await client.post(path)).json()
    again = (await client.post(path)).json()

    sent = [
        (each["portfolio"]["portfolioId"], each["security"]["securityId"])
        for each in await desk.read_orders()
    ]
    planned = [
        (outcome["portfolio_id"], each["security_id"])
        for outcome in outcomes
        for each in outcome["transactions"]
    ]
    assert sorted(sent) == sorted(planned)
    assert handed["status"] == again["status"]
    assert len(await desk.read_orders()) == len(planned)


async def test_a_replay_agrees_with_what_is_stored(
    outcomes: list[dict[str, Any]], stored: Stored
) -> None:
    rebalance = await stored.rebalances.read(outcomes[0]["rebalance_id"])

    compared = [each async for each in replay_rebalance(rebalance, stored.rebalances, 10)]

    assert [each.verdict for each in compared] == [AGREE, AGREE]


async def test_an_infeasible_portfolio_is_stored_with_its_reasons(
    client: httpx.AsyncClient, upstreams: Upstreams
) -> None:
    upstreams.set_balance("tiny. $", "500")
    tight = [THIRDS[0] | {"relative_drift": "0.02"}, THIRDS[1]]
    body = make_general_model(positions=tight, portfolios=["tiny. $", ACCOUNT])
    model = (await client.post("/api/v1/models", json=body)).json()

    answer = await client.post(f"/api/v1/model/{model['model_id']}/rebalance")
    first = answer.json()[0]
    stored = (await client.get(f"/api/v1/rebalance/{first['rebalance_id']}")).json()

    assert first["status"] == "INFEASIBLE"
    assert stored["portfolios"][0]["error"]["detail"] == first["error"]["detail"]
    assert stored["portfolios"][0]["error"]["detail"].count(STOCK) >= 1


async def test_names_of_natural_ids_are_looked_up(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/securities", params={"ids": [STOCK, SHARE]})

    assert answer.json() == [
        {"security_id": STOCK, "ticker": STOCK},
        {"security_id": SHARE, "ticker": SHARE},
    ]
