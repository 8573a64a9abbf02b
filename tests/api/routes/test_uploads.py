"""POST /optimize with tables: forms, CSV, workbooks and Parquet, there and back."""

import csv
import gzip
import json
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import httpx
import pyarrow as pa
import pytest
from pyarrow import parquet

from serve_app.api.media_types import CSV, JSON, PARQUET, XLSX
from serve_app.api.schemas.optimize import MAX_PORTFOLIOS
from serve_app.deployments import uploads
from serve_app.settings import read_settings
from tests.files.books import HOLDINGS, MODEL, PRICES, csv_of, workbook_of
from tests.support.optimize_bodies import build_optimize_app, make_body, open_client

PATH = "/api/v1/optimize"
ALL_IN_ONE = (
    ("portfolio", "security", "quantity", "price", "target", "band"),
    ("A1", "VTI", 100, "201.50", "60%", "5%"),
    ("A1", "BND", 0, "72.25", "35%", "5%"),
    ("A1", "Cash", "2500.50", "", "", ""),
)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with open_client(build_optimize_app(read_settings({}))) as client:
        yield client


def form(**changed: Any) -> dict[str, Any]:
    tables = {"holdings": csv_of(HOLDINGS), "prices": csv_of(PRICES), "model": csv_of(MODEL)}
    return {name: (f"{name}.csv", data) for name, data in {**tables, **changed}.items()}


async def test_a_form_of_three_files_is_answered_like_json(client: httpx.AsyncClient) -> None:
    answer = await client.post(PATH, files=form())

    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == JSON
    assert [each["portfolio_id"] for each in answer.json()] == ["A1", "A2"]
    assert answer.json()[0]["transactions"][0]["quantity"] == 33


async def test_a_form_of_one_workbook_and_options_has_the_same_answer(
    client: httpx.AsyncClient,
) -> None:
    options = '{"do_not_sell": ["VTI"]}'
    of_files = await client.post(PATH, files=form(), data={"options": options})
    of_book = await client.post(
        PATH, files={"file": ("book.xlsx", workbook_of())}, data={"options": options}
    )

    assert of_files.status_code == of_book.status_code == 200, of_book.text
    assert of_files.json() == of_book.json()
    assert all(t["security_id"] != "VTI" for t in of_files.json()[0]["transactions"])


@pytest.mark.parametrize("kind", [CSV, XLSX, PARQUET])
async def test_one_body_may_have_everything(client: httpx.AsyncClient, kind: str) -> None:
    headers, *rows = ALL_IN_ONE
    sink = BytesIO()
    columns = {
        name: list(map(str, column))
        for name, column in zip(headers, zip(*rows, strict=True), strict=True)
    }
    parquet.write_table(pa.table(columns), sink)
    bodies = {
        CSV: csv_of(ALL_IN_ONE),
        XLSX: workbook_of({"1": ALL_IN_ONE}),
        PARQUET: sink.getvalue(),
    }

    answer = await client.post(PATH, content=bodies[kind], headers={"content-type": kind})

    assert answer.status_code == 200, answer.text
    assert answer.json()[0]["status"] == "REBALANCED"


async def test_the_answer_has_the_form_that_accept_asks_for(client: httpx.AsyncClient) -> None:
    answers = {
        kind: await client.post(PATH, files=form(), headers={"accept": kind})
        for kind in (CSV, XLSX, PARQUET)
    }

    for kind, answer in answers.items():
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith(kind)
        assert "Accept" in answer.headers["vary"]
        assert answer.headers["outcomes"] == "REBALANCED=2"
        assert answer.headers["content-disposition"].startswith("attachment; filename=")
    trades = list(csv.DictReader(answers[CSV].text.splitlines()))
    assert trades[0]["side"] == "SELL"
    assert parquet.read_table(BytesIO(answers[PARQUET].content)).num_rows == len(trades)
    with ZipFile(BytesIO(answers[XLSX].content)) as archive:
        assert "xl/worksheets/sheet3.xml" in archive.namelist()


async def test_an_answer_tells_which_portfolios_were_given_no_cash(
    client: httpx.AsyncClient,
) -> None:
    files = form(holdings=csv_of(HOLDINGS[:-1]))
    of_json = await client.post(PATH, files=files)
    trades = await client.post(PATH, files=files, headers={"accept": CSV})
    outcomes = await client.post(
        PATH, files=files, headers={"accept": CSV}, params={"table": "outcomes"}
    )

    said = "no cash is given: counted as 0"
    first, second = of_json.json()
    assert "notes" not in first
    assert second["notes"] == [said]
    assert [row["note"] for row in csv.DictReader(outcomes.text.splitlines())] == ["", said]
    for answer in (of_json, trades, outcomes):
        assert answer.headers["notes"] == ("no cash is given for 1 of 2 portfolios: counted as 0")


async def test_a_table_of_the_answer_is_chosen_by_name(client: httpx.AsyncClient) -> None:
    asked: dict[str, Any] = {"files": form(), "headers": {"accept": CSV}}
    drift = await client.post(PATH, params={"table": "drift"}, **asked)
    wrong = await client.post(PATH, params={"table": "drifts"}, **asked)

    assert drift.text.startswith("portfolio,security,price,quantity_before")
    assert wrong.status_code == 422
    assert wrong.json()["errors"] == [
        {"parameter": "table", "detail": "one of trades, outcomes, drift"}
    ]


async def test_positions_have_the_amounts_of_the_table_of_drift(client: httpx.AsyncClient) -> None:
    answer = await client.post(PATH, files=form(), params={"positions": "true"})
    table = await client.post(
        PATH, files=form(), params={"table": "drift"}, headers={"accept": CSV}
    )

    found = [
        (each["portfolio_id"], *[position[name] for name in ("security_id", "price", "actual")])
        for each in answer.json()
        for position in each["positions"]
    ]
    assert found == [
        (row["portfolio"], row["security"], row["price"], row["weight_after"])
        for row in csv.DictReader(table.text.splitlines())
    ]


async def test_portfolios_without_a_plan_have_positions_too(client: httpx.AsyncClient) -> None:
    options = json.dumps({"cash_floor": "100%", "bands": "HARD"})
    asked: dict[str, Any] = {"files": form(), "data": {"options": options}}
    answer = await client.post(PATH, params={"positions": "true"}, **asked)

    assert answer.status_code == 422
    assert all(each["positions"] for each in answer.json()["portfolios"])


async def test_plain_json_may_ask_for_positions_and_has_none_unless_it_asks(
    client: httpx.AsyncClient,
) -> None:
    body = make_body(VTI=10)
    plain, full, wrong = [
        await client.post(PATH, json=body, params=params)
        for params in ({}, {"positions": "true"}, {"positions": "yes"})
    ]

    assert "positions" not in plain.json()[0]
    assert [each["price"] for each in full.json()[0]["positions"]] == ["10", "10"]
    assert wrong.json()["errors"] == [{"parameter": "positions", "detail": "one of false, true"}]


async def test_more_positions_than_an_answer_holds_are_left_out(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_POSITIONS", 1)
    answer = await client.post(PATH, files=form(), params={"positions": "true"})

    assert [each["status"] for each in answer.json()] == ["REBALANCED"] * 2
    assert "positions" not in answer.json()[0]


async def test_json_may_be_answered_as_a_table_and_is_json_otherwise(
    client: httpx.AsyncClient,
) -> None:
    body = {
        "model": {
            "positions": [
                {"security_id": "VTI", "target": "0.5", "relative_drift": "0.1"},
            ]
        },
        "prices": {"VTI": 10},
        "portfolios": [{"portfolio_id": "A1", "cash": 1000, "holdings": {}}],
    }
    table = await client.post(PATH, json=body, headers={"accept": CSV})
    page = await client.post(PATH, json=body, headers={"accept": "text/html"})

    assert table.text.splitlines()[1].startswith("A1,VTI,BUY,50,")
    assert page.headers["content-type"] == JSON


async def test_an_upload_that_nothing_accepts_is_a_406(client: httpx.AsyncClient) -> None:
    answer = await client.post(PATH, files=form(), headers={"accept": "text/html"})

    assert answer.status_code == 406


async def test_faults_of_files_name_file_sheet_row_column_and_value(
    client: httpx.AsyncClient,
) -> None:
    holdings = (*HOLDINGS, ("A3", "VTI", "x"))
    answer = await client.post(
        PATH, files={"file": ("book.xlsx", workbook_of(Holdings=holdings))}, headers={"accept": CSV}
    )

    assert answer.status_code == 422
    problem = answer.json()
    assert problem["type"] == "/problems/invalid-request"
    assert problem["errors"] == [
        {
            "file": "book.xlsx",
            "sheet": "Holdings",
            "row": 6,
            "column": "quantity",
            "value": "x",
            "detail": "a number is expected here, such as 1234.50, 1,234.50 or 1.234,50",
        }
    ]


async def test_a_zip_bomb_is_refused(client: httpx.AsyncClient) -> None:
    sink = BytesIO(workbook_of())
    with ZipFile(sink, "a", ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/zeros.bin", bytes(101_000_000))

    answer = await client.post(PATH, content=sink.getvalue(), headers={"content-type": XLSX})

    assert answer.status_code == 422
    assert "once it is inflated" in answer.json()["detail"]


async def test_a_body_is_limited_and_may_be_compressed(client: httpx.AsyncClient) -> None:
    headers = {"content-type": CSV, "content-encoding": "gzip"}
    good = await client.post(PATH, content=gzip.compress(csv_of(ALL_IN_ONE)), headers=headers)
    long = await client.post(PATH, content=gzip.compress(bytes(33_000_000)), headers=headers)

    assert good.status_code == 200, good.text
    assert long.status_code == 413


async def test_a_thousand_portfolios_are_the_limit_as_in_json(client: httpx.AsyncClient) -> None:
    rows = ((f"A{number}", "CASH", 1) for number in range(MAX_PORTFOLIOS + 1))

    answer = await client.post(PATH, files=form(holdings=csv_of((HOLDINGS[0], *rows))))

    assert answer.status_code == 422
    assert "at most 1,000 portfolios" in answer.json()["detail"]


async def test_another_media_type_is_a_415_that_lists_what_is_read(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.post(PATH, content=b"a", headers={"content-type": "text/html"})

    assert answer.status_code == 415
    assert CSV in answer.json()["accepted"]


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"--x\r\n=\r\n\r\nnothing", "the form cannot be read"),
        (
            b'--x\r\nContent-Disposition: form-data; name="holdings"\r\n\r\na,b\r\n--x--\r\n',
            "send each table as a file",
        ),
        (b"--x--\r\n", "send each table as a file"),
    ],
)
async def test_a_form_that_has_no_files_is_refused(
    client: httpx.AsyncClient, content: bytes, rule: str
) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x"}

    answer = await client.post(PATH, content=content, headers=headers)

    assert answer.status_code == 422
    assert rule in answer.json()["detail"]


async def test_no_plan_for_any_portfolio_is_a_problem_in_every_form(
    client: httpx.AsyncClient,
) -> None:
    options = json.dumps({"cash_floor": "100%", "bands": "HARD"})

    answer = await client.post(
        PATH, files=form(), data={"options": options}, headers={"accept": CSV}
    )

    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/infeasible"
