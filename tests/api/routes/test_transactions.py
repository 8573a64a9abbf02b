"""Trade list of a stored rebalance, in the formats that Accept chooses."""

import csv
import json
import re
from datetime import date
from decimal import Decimal
from io import BytesIO, StringIO
from typing import Any
from zipfile import ZipFile

import httpx
import pytest

from optimization.domain.outcome import PortfolioOutcome
from optimization.domain.portfolio import PricedTarget
from serve_app.api.content_negotiation import choose_media_type
from serve_app.api.exports.arrow_tables import FILE_ENDINGS
from serve_app.api.exports.transactions import COLUMNS, Line
from serve_app.api.exports.workbook import write_workbook
from serve_app.api.routes.transactions import OFFERED, XLSX
from serve_app.problems.errors import NotAcceptableError, TooManyRowsError
from storage.rebalances.rebalance import RebalanceStatus
from tests.support.arrow import TABLES, read_table
from tests.support.fakes import (
    A,
    B,
    FakeOptimizer,
    P,
    Q,
    R,
    Stored,
    make_model_body,
    make_position,
    make_purchase,
)
from tests.support.workbooks import read_rows

NOWHERE = "0" * 24


def make_sale(portfolio_id: str, securities: tuple[PricedTarget, ...]) -> PortfolioOutcome:
    """Make an outcome with trades at prices of many digits; portfolio Q does not trade."""
    one = make_purchase(portfolio_id, securities)
    if portfolio_id == Q:
        return PortfolioOutcome(**{**fields(one), "after": one.before})
    return PortfolioOutcome(**{**fields(one), "before": (2, 900_000), "after": (3, 0)})


def fields(rebalance: PortfolioOutcome) -> dict[str, Any]:
    return {name: getattr(rebalance, name) for name in PortfolioOutcome.__slots__}


@pytest.fixture
async def run(client: httpx.AsyncClient, optimizer: FakeOptimizer) -> dict[str, Any]:
    """Rebalance of three portfolios, two of which trade two securities each."""
    optimizer.outcome = make_sale
    body = make_model_body(positions=[make_position(A), make_position(B)], portfolios=[P, Q, R])
    model = (await client.post("/api/v1/models", json=body)).json()
    answer = await client.post(f"/api/v1/model/{model['model_id']}/rebalance")
    return answer.json()[0]


def path(run: dict[str, Any]) -> str:
    return f"/api/v1/rebalance/{run['rebalance_id']}/transactions"


async def lines(client: httpx.AsyncClient, run: dict[str, Any], **params: Any) -> Any:
    answer = await client.get(path(run), params=params)
    assert answer.status_code == 200, answer.text
    return json.loads(answer.content, parse_float=Decimal)


async def test_the_list_is_json_unless_another_kind_is_asked_for(
    client: httpx.AsyncClient, run: dict[str, Any]
) -> None:
    answer = await client.get(path(run))

    assert answer.headers["content-type"] == "application/json"
    assert "Accept" in answer.headers["vary"].split(", ")
    assert answer.headers["x-rebalance-status"] == "COMPLETED"
    day = run["transactions"][0]["trade_date"]
    first, second, *_ = json.loads(answer.content, parse_float=Decimal)
    assert first == {
        "rebalance_id": run["rebalance_id"],
        "portfolio_id": P,
        "security_id": A,
        "transaction_type": "BUY",
        "quantity": 1,
        "price": Decimal("10.25"),
        "amount": Decimal("10.25"),
        "trade_date": day,
    }
    assert (second["transaction_type"], second["quantity"]) == ("SELL", 900_000)
    assert second["amount"] == Decimal("9225000.00")


async def test_portfolios_stand_in_their_order_and_those_that_do_not_trade_are_not_there(
    client: httpx.AsyncClient, run: dict[str, Any]
) -> None:
    assert [line["portfolio_id"] for line in await lines(client, run)] == [P, P, R, R]


async def test_totals_are_the_exact_sums_of_the_list_by_side(
    client: httpx.AsyncClient, run: dict[str, Any]
) -> None:
    listed = await lines(client, run)
    answer = await client.get(f"{path(run)}/totals")

    totals = answer.json()
    for side, name in (("BUY", "buys"), ("SELL", "sells")):
        amounts = [Decimal(each["amount"]) for each in listed if each["transaction_type"] == side]
        assert totals[name]["transactions"] == len(amounts) > 0
        assert Decimal(totals[name]["amount"]) == sum(amounts)
    assert totals["portfolios"] == len({each["portfolio_id"] for each in listed})
    assert (totals["held"], totals["proposal_id"]) == ({"transactions": 0, "amount": "0"}, None)


async def test_the_list_can_be_cut_down_to_some_portfolios(
    client: httpx.AsyncClient, run: dict[str, Any]
) -> None:
    chosen_ones = await lines(client, run, portfolio_id=[R, Q, R])

    assert [line["portfolio_id"] for line in chosen_ones] == [R, R]


async def test_a_portfolio_that_is_not_in_the_rebalance_is_a_404_that_names_it(
    client: httpx.AsyncClient, run: dict[str, Any]
) -> None:
    answer = await client.get(path(run), params={"portfolio_id": [P, "Z" * 24]})

    assert answer.status_code == 404
    assert "Z" * 24 in answer.json()["detail"]


@pytest.mark.parametrize("wrong", ["short", "=" * 24])
async def test_what_is_no_portfolio_id_is_refused(
    client: httpx.AsyncClient, run: dict[str, Any], wrong: str
) -> None:
    answer = await client.get(path(run), params={"portfolio_id": wrong})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"].startswith("portfolio_id")


async def test_csv_is_rfc_4180_with_a_header_row_and_a_file_name(
    client: httpx.AsyncClient, run: dict[str, Any]
) -> None:
    answer = await client.get(path(run), headers={"accept": "text/csv"})

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    name = f"transactions-{run['rebalance_id']}.csv"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert answer.content.count(b"\r\n") == answer.content.count(b"\n") == 5
    table = list(csv.reader(StringIO(answer.text, newline="")))
    assert table[0] == list(COLUMNS)
    assert table[1][3:7] == ["BUY", "1", "10.25", "10.25"]
    assert table[2][3:7] == ["SELL", "900000", "10.25", "9225000.00"]


@pytest.mark.parametrize("kind", TABLES)
async def test_parquet_and_arrow_are_tables_of_the_same_numbers_as_decimals(
    client: httpx.AsyncClient, run: dict[str, Any], kind: str
) -> None:
    answer = await client.get(path(run), headers={"accept": kind})

    assert answer.headers["content-type"] == kind
    name = f"transactions-{run['rebalance_id']}.{FILE_ENDINGS[kind]}"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    table = read_table(kind, answer.content)
    assert table.schema.names == list(COLUMNS)
    assert {str(table.schema.field(each).type) for each in COLUMNS[4:7]} == {"decimal128(38, 18)"}
    day = date.fromisoformat(run["transactions"][0]["trade_date"])
    rules = {"blocked_by": None, "warned_by": None}  # no rule was in force
    expected = [{**line, "trade_date": day, **rules} for line in await lines(client, run)]
    assert table.to_pylist() == expected


@pytest.mark.parametrize("kind", TABLES)
async def test_a_list_without_transactions_is_a_table_without_rows(
    client: httpx.AsyncClient, run: dict[str, Any], kind: str
) -> None:
    headers = {"accept": kind}
    answer = await client.get(path(run), params={"portfolio_id": Q}, headers=headers)

    table = read_table(kind, answer.content)
    assert (table.num_rows, table.schema.names) == (0, list(COLUMNS))


@pytest.mark.parametrize("kind", ["application/x-ndjson", "application/jsonl"])
async def test_json_lines_are_one_object_a_line(
    client: httpx.AsyncClient, run: dict[str, Any], kind: str
) -> None:
    answer = await client.get(path(run), headers={"accept": kind})

    assert answer.headers["content-type"] == kind
    assert answer.text.endswith("}\n")
    texts = answer.text.splitlines()
    assert [json.loads(text, parse_float=Decimal) for text in texts] == await lines(client, run)


async def test_a_workbook_has_typed_columns_a_frozen_header_and_filters(
    client: httpx.AsyncClient, run: dict[str, Any]
) -> None:
    answer = await client.get(path(run), headers={"accept": XLSX})

    assert answer.headers["content-type"] == XLSX
    assert answer.headers["content-disposition"].endswith('.xlsx"')
    assert int(answer.headers["content-length"]) == len(answer.content)
    table = read_rows(answer.content)
    day = run["transactions"][0]["trade_date"]
    assert table[0] == list(COLUMNS)
    assert table[2] == [
        run["rebalance_id"], P, B, "SELL", Decimal(900_000), Decimal("10.25"),
        Decimal("9225000.00"), day, "", "",
    ]  # fmt: skip
    assert len(table) == 5
    sheet = ZipFile(BytesIO(answer.content)).read("xl/worksheets/sheet1.xml").decode()
    assert 'state="frozen"' in sheet
    assert '<autoFilter ref="A1:J5"/>' in sheet


async def test_a_number_that_a_spreadsheet_would_round_is_written_as_text() -> None:
    long = Line(
        "1" * 24, P, A, "BUY", 10**9, Decimal("1.123456789"), Decimal("1.1E+9"), "2026-11-23"
    )
    exact = long._replace(amount=Decimal("1123456789.00000001"))

    async def pages() -> Any:
        yield (long, exact)

    with await write_workbook(pages()) as file:
        table = read_rows(file.read())

    assert [row[6] for row in table[1:]] == [Decimal(1_100_000_000), "1123456789.00000001"]


async def test_a_list_that_is_longer_than_a_sheet_is_refused() -> None:
    line = Line("1" * 24, P, A, "BUY", 1, Decimal(1), Decimal(1), "2026-11-23")

    async def pages() -> Any:
        yield (line,) * 3

    (await write_workbook(pages(), max_rows=4)).close()
    with pytest.raises(TooManyRowsError, match="holds 2 transactions"):
        await write_workbook(pages(), max_rows=3)


async def test_the_list_of_a_run_that_is_not_whole_says_so(
    client: httpx.AsyncClient, stored: Stored, run: dict[str, Any]
) -> None:
    unfinished = {"$set": {"status": RebalanceStatus.STOPPED.value}}
    await stored.resources.database["rebalances"].update_one({}, unfinished)

    answer = await client.get(path(run), headers={"accept": "text/csv"})

    assert answer.headers["x-rebalance-status"] == "STOPPED"
    assert answer.headers["content-disposition"].endswith('-stopped.csv"')


async def test_a_rebalance_without_transactions_has_an_empty_list(
    client: httpx.AsyncClient, optimizer: FakeOptimizer, model: dict[str, Any]
) -> None:
    optimizer.outcome = lambda _, securities: make_sale(Q, securities)
    made = (await client.post(f"/api/v1/model/{model['model_id']}/rebalance")).json()[0]

    assert await lines(client, made) == []
    table = await client.get(path(made), headers={"accept": "text/csv"})
    assert table.text == ",".join(COLUMNS) + "\r\n"


def ids_in(kind: str, answer: httpx.Response) -> list[str]:
    if kind == XLSX:
        return [row[1] for row in read_rows(answer.content)[1:]]
    if kind in TABLES:
        return read_table(kind, answer.content)["portfolio_id"].to_pylist()
    return re.findall(r"\b0[0-9]{23}\b", answer.text)


async def test_many_pages_are_one_list(client: httpx.AsyncClient, optimizer: FakeOptimizer) -> None:
    ids = [f"{number:024}" for number in range(250)]
    model = (await client.post("/api/v1/models", json=make_model_body(portfolios=ids))).json()
    made = (await client.post(f"/api/v1/model/{model['model_id']}/rebalance")).json()[0]

    for kind in OFFERED:
        answer = await client.get(path(made), headers={"accept": kind})
        assert ids_in(kind, answer) == ids, kind


@pytest.mark.parametrize("rebalance_id", [NOWHERE, "zz"])
async def test_a_rebalance_that_is_not_stored_has_no_list(
    client: httpx.AsyncClient, rebalance_id: str
) -> None:
    answer = await client.get(
        f"/api/v1/rebalance/{rebalance_id}/transactions", headers={"accept": XLSX}
    )

    assert answer.status_code == (404 if rebalance_id == NOWHERE else 400)


async def test_a_kind_that_is_not_offered_is_a_406_that_names_those_that_are(
    client: httpx.AsyncClient, run: dict[str, Any]
) -> None:
    answer = await client.get(path(run), headers={"accept": "text/html"})

    assert answer.status_code == 406
    assert "Accept" in answer.headers["vary"].split(", ")
    assert answer.json()["type"] == "/problems/not-acceptable"
    assert answer.json()["offered"] == list(OFFERED)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/csv, */*", "text/csv"),
        ("text/*", "text/csv"),
        ("application/*;q=0.4, text/csv;q=0.5", "text/csv"),
        ("application/json;q=0, */*", "text/csv"),
        ("text/csv;q=0.1, application/jsonl;q=0.1", "text/csv"),
        ("TEXT/CSV; charset=UTF-8; Q=0.5", "text/csv"),
        ("text/html, application/xhtml+xml, */*;q=0.8", "application/json"),
        ("text/csv;q=7", "application/json"),
        (";;,/,text", "application/json"),
    ],
)
def test_quality_and_exactness_decide(accept: str, expected: str) -> None:
    assert choose_media_type(accept, OFFERED) == expected


@pytest.mark.parametrize("accept", ["image/*", "*/*;q=0", "text/csv;q=0.000", "text/html;q=1"])
def test_what_is_not_wanted_is_never_chosen(accept: str) -> None:
    with pytest.raises(NotAcceptableError):
        choose_media_type(accept, OFFERED)
