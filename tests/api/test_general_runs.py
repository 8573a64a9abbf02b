"""A durable run over a Parquet book with natural ids, and what is told of it."""

import csv
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serve_app.rebalances.replay import AGREE, replay_rebalance
from serve_app.settings import Settings, read_settings
from tests.support.arrow import read_table
from tests.support.fakes import Stored
from tests.support.general_models import BOND, SHARE, STOCK, make_general_model, make_two_households
from tests.support.in_process import Upstreams
from tests.support.run_streams import wait_until_over

BOOK = "book.parquet"
ACCOUNTS = ("401(k) Åse", "A/B", "Müller & Söhne", "日本 年金")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings(
        {"model_rules": "general", "run_chunk_size": 2, "holdings_directory": tmp_path}
    )


@pytest.fixture
def upstreams() -> Upstreams:
    return make_two_households()


@pytest.fixture
async def run(client: httpx.AsyncClient, tmp_path: Path) -> dict[str, Any]:
    rows: list[tuple[str, str | None, Decimal]] = []
    for place, account in enumerate(ACCOUNTS):
        rows += [(account, None, Decimal(40_000 + place)), (account, SHARE, Decimal("12.25"))]
    names = ("portfolio_id", "security_id", "quantity")
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    pq.write_table(pa.table(columns), tmp_path / BOOK, row_group_size=2)
    body = make_general_model(portfolios=[*ACCOUNTS])
    assert (await client.post("/api/v1/models", json=body)).status_code == 201
    request = {
        "whole_book": True,
        "holdings": {"source": "file", "file": BOOK},
        "options": {"lots": {STOCK: "0.01"}},
        "options_by_portfolio": {"A/B": {"do_not_buy": [BOND], "bands": "YIELD"}},
    }
    answer = await client.post("/api/v1/runs", json=request)
    assert answer.status_code == 202, answer.text
    return await wait_until_over(client, answer.json()["run_id"])


async def test_all_portfolios_of_the_book_are_rebalanced(run: dict[str, Any]) -> None:
    assert (run["status"], run["errors"]) == ("COMPLETED", [])
    assert run["counts"] == {"REBALANCED": 4}


async def test_options_of_a_portfolio_hold_for_its_natural_id(
    client: httpx.AsyncClient, run: dict[str, Any]
) -> None:
    path = f"/api/v1/rebalance/{run['rebalances'][0]}"

    whole = (await client.get(path)).json()

    bought = {
        each["portfolio_id"]: {
            line["security_id"] for line in each["positions"] if line["transaction_type"] == "BUY"
        }
        for each in whole["portfolios"]
    }
    assert [*bought] == [*ACCOUNTS]
    assert {each for each, securities in bought.items() if BOND in securities} == {*ACCOUNTS} - {
        "A/B"
    }


@pytest.mark.parametrize("media_type", ["application/vnd.apache.parquet"])
async def test_outcomes_are_exported_with_their_ids(
    client: httpx.AsyncClient, run: dict[str, Any], media_type: str
) -> None:
    path = f"/api/v1/runs/{run['run_id']}/outcomes"

    answer = await client.get(path, headers={"accept": media_type})

    assert answer.status_code == 200, answer.text
    assert read_table(media_type, answer.content)["portfolio_id"].to_pylist() == [*ACCOUNTS]


async def test_trades_to_thirds_are_exported_with_the_numbers_of_the_list(
    client: httpx.AsyncClient, run: dict[str, Any]
) -> None:
    path = f"/api/v1/rebalance/{run['rebalances'][0]}/transactions"
    media_type = "application/vnd.apache.parquet"

    of_list = await client.get(path, headers={"accept": "text/csv"})
    of_table = await client.get(path, headers={"accept": media_type})

    rows = [*csv.DictReader(of_list.text.splitlines())]
    table = read_table(media_type, of_table.content)
    assert len(rows) == table.num_rows > len(ACCOUNTS)
    for name in ("quantity", "price", "amount"):
        assert table[name].to_pylist() == [Decimal(row[name]) for row in rows]


async def test_a_run_is_replayed(run: dict[str, Any], stored: Stored) -> None:
    rebalance = await stored.rebalances.read(run["rebalances"][0])

    compared = [each async for each in replay_rebalance(rebalance, stored.rebalances, 10)]

    assert {each.verdict for each in compared} == {AGREE}
