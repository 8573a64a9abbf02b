"""Lists of trades and tables of outcomes: which rules hold back, and which warn."""

import csv
import json
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import httpx
import pytest

from tests.support.arrow import read_table
from tests.support.fakes import P, Q
from tests.support.pre_trade_rules import A_TENTH, add, rebalance
from tests.support.run_streams import wait_until_over
from tests.support.workbooks import read_rows

pytestmark = pytest.mark.mongo
ACCEPT = {
    "json": {"accept": "application/json"},
    "jsonl": {"accept": "application/x-ndjson"},
    "parquet": {"accept": "application/vnd.apache.parquet"},
    "arrows": {"accept": "application/vnd.apache.arrow.stream"},
    "xlsx": {"accept": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
}


def rows_of(answer: httpx.Response, kind: str) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    if kind == "json":
        return answer.json()
    if kind == "jsonl":
        return [json.loads(line) for line in answer.text.splitlines()]
    return read_table(ACCEPT[kind]["accept"], answer.content).to_pylist()


async def run_outcomes(client: httpx.AsyncClient, body: Any) -> list[dict[str, Any]]:
    begun = (await client.post("/api/v1/runs", json=body)).json()
    await wait_until_over(client, begun["run_id"])
    path = f"/api/v1/runs/{begun['run_id']}/outcomes"
    return rows_of(await client.get(path, headers=ACCEPT["parquet"]), "parquet")


@pytest.fixture
async def rebalance_id(client: httpx.AsyncClient, model: dict[str, Any]) -> str:
    """Rebalance under a rule that P breaks, and a warning that both break."""
    await add(client, A_TENTH, name="=of P", portfolios=[P])
    await add(client, A_TENTH, name="for all", severity="WARN")
    return (await rebalance(client, model))[0]["rebalance_id"]


@pytest.mark.parametrize("kind", ["json", "jsonl", "parquet", "arrows"])
@pytest.mark.parametrize("chosen", [{}, {"portfolio_id": [P, Q]}], ids=["all", "chosen"])
async def test_a_trade_names_the_rules_that_the_plan_of_its_portfolio_breaks(
    client: httpx.AsyncClient, rebalance_id: str, kind: str, chosen: Any
) -> None:
    path = f"/api/v1/rebalance/{rebalance_id}/transactions"

    trades = rows_of(await client.get(path, params=chosen, headers=ACCEPT[kind]), kind)

    found = {trade["portfolio_id"]: (trade["blocked_by"], trade["warned_by"]) for trade in trades}
    assert len(trades) == 4
    assert found == {P: (["=of P"], ["for all"]), Q: ([], ["for all"])}


async def test_a_spreadsheet_names_them_in_a_cell_that_is_no_formula(
    client: httpx.AsyncClient, rebalance_id: str
) -> None:
    path = f"/api/v1/rebalance/{rebalance_id}/transactions"
    table = await client.get(path, headers={"accept": "text/csv"})
    book = await client.get(path, headers=ACCEPT["xlsx"])

    rows = [*csv.DictReader(table.text.splitlines())]
    head, *cells = [row[8:] for row in read_rows(book.content)]
    expected = {P: ("'=of P", "for all"), Q: ("", "for all")}
    assert {row["portfolio_id"]: (row["blocked_by"], row["warned_by"]) for row in rows} == (
        expected
    )
    assert head == ["blocked_by", "warned_by"]
    assert cells == [["=of P", "for all"]] * 2 + [["", "for all"]] * 2
    assert b"<f>" not in ZipFile(BytesIO(book.content)).read("xl/worksheets/sheet1.xml")


@pytest.mark.parametrize("options", [None, {"fewest_trades": True}], ids=["arrays", "objects"])
async def test_outcomes_of_a_run_have_the_columns_and_no_value_without_rules(
    client: httpx.AsyncClient, model: dict[str, Any], options: Any
) -> None:
    body = {"models": [model["model_id"]], **({"options": options} if options else {})}
    unchecked = await run_outcomes(client, body)
    await add(client, A_TENTH, portfolios=[P])

    checked = await run_outcomes(client, body)

    assert {trade["blocked_by"] for trade in unchecked} == {None}
    found = {trade["portfolio_id"]: (trade["blocked_by"], trade["warned_by"]) for trade in checked}
    assert found == {P: ([A_TENTH["name"]], []), Q: ([], [])}
