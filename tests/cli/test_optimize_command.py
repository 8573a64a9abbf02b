"""`ordergen optimize` on files: without a service, a cluster or a database."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from pyarrow import parquet
from typer.testing import CliRunner, Result

from serve_app.cli import cli
from tests.files.books import HOLDINGS, MODEL, PRICES, csv_of, files_of, workbook_of

Optimize = Callable[..., Result]


@pytest.fixture
def optimize(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Optimize:
    """Return the command, run in a directory that has a good set of files."""
    monkeypatch.chdir(tmp_path)
    for name, data in files_of().items():
        Path(name).write_bytes(data)
    Path("book.xlsx").write_bytes(workbook_of())

    def run(*arguments: str, stdin: bytes | None = None) -> Result:
        runner = CliRunner(env={"COLUMNS": "200", "ORDERGEN_URL": None})
        return runner.invoke(cli, ["optimize", *arguments], stdin)

    return run


GOOD = ("holdings.csv", "prices.csv", "model.csv")


def read_csv(path: str) -> list[dict[str, str]]:
    return list(csv.DictReader(Path(path).read_text().splitlines()))


def test_three_files_become_a_table_of_trades(optimize: Optimize):
    done = optimize(*GOOD)

    assert done.exit_code == 0, done.output
    lines = [[cell.strip() for cell in line.split("│")] for line in done.stdout.splitlines()]
    assert [
        "",
        "A1",
        "VTI",
        "SELL",
        "33",
        "201.50",
        "6,649.50",
        "88.96%",
        "60.00%",
        "59.60%",
        "",
    ] in lines
    assert "REBALANCED" in done.stdout


def test_the_answer_of_a_workbook_is_that_of_its_sheets_as_files(optimize: Optimize):
    of_files, of_book = optimize(*GOOD, "--json"), optimize("book.xlsx", "--json")

    assert of_book.exit_code == 0, of_book.output
    assert json.loads(of_book.stdout, parse_float=Decimal) == json.loads(
        of_files.stdout, parse_float=Decimal
    )


def test_a_workbook_of_the_answer_has_three_sheets(optimize: Optimize):
    done = optimize("book.xlsx", "-o", "trades.xlsx")

    assert done.exit_code == 0, done.output
    with ZipFile("trades.xlsx") as archive:
        names = archive.read("xl/workbook.xml").decode()
    assert [f'name="{name}"' in names for name in ("Trades", "Outcomes", "Drift")] == [True] * 3


def test_csv_and_parquet_of_the_answer_are_three_files_of_the_same_rows(optimize: Optimize):
    assert optimize(*GOOD, "-o", "t.csv").exit_code == 0
    assert optimize(*GOOD, "-o", "t.parquet").exit_code == 0

    for name in ("t", "t-outcomes", "t-drift"):
        rows = parquet.read_table(f"{name}.parquet").to_pylist()
        texts = read_csv(f"{name}.csv")
        assert [row["portfolio"] for row in rows] == [row["portfolio"] for row in texts]
    (trade, *_) = read_csv("t.csv")
    assert trade == {
        "portfolio": "A1",
        "security": "VTI",
        "side": "SELL",
        "quantity": "33",
        "price": "201.50",
        "amount": "6649.50",
        "weight_before": "0.8896",
        "target": "0.60",
        "weight_after": "0.5960",
    }
    drift = read_csv("t-drift.csv")
    assert {(row["target"], row["low"], row["high"]) for row in drift} == {
        ("0.60", "0.55", "0.65"),
        ("1/3", "17/60", "23/60"),
    }
    assert all(row["in_band"] == "true" for row in drift)


def test_json_of_the_answer_is_that_of_the_service(optimize: Optimize):
    done = optimize(*GOOD, "-o", "t.json", "--json")

    written = json.loads(Path("t.json").read_text(), parse_float=Decimal)
    assert [outcome["portfolio_id"] for outcome in written] == ["A1", "A2"]
    assert written[0]["transactions"][0]["quantity"] == 33
    assert json.loads(done.stdout)[0]["status"] == "REBALANCED"


def test_options_are_given_as_text_or_as_a_file(optimize: Optimize):
    Path("options.json").write_text('{"do_not_sell": ["VTI"]}')

    answers = [
        optimize(*GOOD, "--json", "--options", given)
        for given in ('{"do_not_sell": ["VTI"]}', "options.json", "@options.json")
    ]

    for done in answers:
        assert done.exit_code == 0, done.output
        first = json.loads(done.stdout)[0]
        assert all(trade["security_id"] != "VTI" for trade in first["transactions"])


def test_json_needs_no_service_either(optimize: Optimize):
    body = {
        "model": {
            "positions": [
                {"security_id": "VTI", "target": "1/3", "low_drift": 0.1, "high_drift": 0.1}
            ]
        },
        "prices": {"VTI": 10},
        "portfolios": [{"portfolio_id": "A1", "cash": 1000, "holdings": {}}],
    }

    done = optimize("-", "--json", stdin=json.dumps(body).encode())

    assert done.exit_code == 0, done.output
    (outcome,) = json.loads(done.stdout)
    assert outcome["transactions"][0]["quantity"] == 33


def test_all_faults_of_all_files_are_printed_with_their_places(optimize: Optimize):
    Path("prices.csv").write_bytes(csv_of((*PRICES, ("X", "n/a"))))
    Path("model.csv").write_bytes(csv_of((*MODEL[:2], ("BND", "33", "5%"))))

    done = optimize(*GOOD)
    data = optimize(*GOOD, "--json")

    assert done.exit_code == data.exit_code == 2
    assert done.stderr.splitlines() == [
        "ordergen: 2 faults in the files",
        (
            "model.csv, row 3, column 'target': '33': a weight is from 0 to 1: "
            "write 33% for a percentage"
        ),
        (
            "prices.csv, row 4, column 'price': 'n/a': a number is expected here, "
            "such as 1234.50, 1,234.50 or 1.234,50"
        ),
    ]
    assert json.loads(data.stdout)["errors"][1] == {
        "file": "prices.csv",
        "row": 4,
        "column": "price",
        "value": "n/a",
        "detail": "a number is expected here, such as 1234.50, 1,234.50 or 1.234,50",
    }


def test_cash_that_is_not_given_is_said(optimize: Optimize):
    Path("holdings.csv").write_bytes(csv_of((HOLDINGS[0], ("A1", "VTI", 100))))

    done = optimize(*GOOD, "-o", "trades.csv")

    assert done.exit_code == 0, done.output
    assert "note: no cash is given for 1 of 1 portfolios: counted as 0 (A1)" in done.stderr
    assert read_csv("trades-outcomes.csv")[0]["note"] == "no cash is given: counted as 0"


def test_a_portfolio_that_fails_stops_no_other(optimize: Optimize):
    Path("holdings.csv").write_bytes(csv_of((*HOLDINGS, ("A3", "GOLD", 1))))

    done = optimize(*GOOD, "-o", "t.csv")

    assert done.exit_code == 0, done.output
    assert "A3: no price above 0 for GOLD" in done.stdout
    assert [row["status"] for row in read_csv("t-outcomes.csv")][2] == "FAILED"


def test_ids_that_a_spreadsheet_would_run_are_quoted_in_csv(optimize: Optimize):
    evil = '=HYPERLINK("x")'
    rows = [[evil if cell == "A1" else cell for cell in row] for row in HOLDINGS]
    Path("holdings.csv").write_bytes(csv_of(rows, ";"))

    assert optimize(*GOOD, "-o", "t.csv").exit_code == 0
    assert optimize(*GOOD, "-o", "t.xlsx").exit_code == 0

    assert read_csv("t.csv")[0]["portfolio"] == f"'{evil}"
    with ZipFile("t.xlsx") as archive:
        assert b"<f>" not in archive.read("xl/worksheets/sheet1.xml")


WRONG = {
    "no file": ("nowhere.csv",),
    "an ending": (*GOOD, "-o", "t.pdf"),
    "JSON beside tables": ("body.json", "prices.csv"),
    "tables to a service": (*GOOD, "--url", "http://127.0.0.1:9"),
    "options that are no JSON": (*GOOD, "--options", "{"),
    "an unknown option": (*GOOD, "--options", '{"cash_ceil": 1}'),
    "a misspelt security": (*GOOD, "--options", '{"frozen": ["VIT"]}'),
    "options that conflict": (*GOOD, "--options", '{"cash_floor": 9, "cash_ceiling": 5}'),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_argument_is_said_and_ends_with_2(optimize: Optimize, case: str):
    Path("body.json").write_text("{}")

    done = optimize(*WRONG[case])

    assert done.exit_code == 2, done.output
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_neither_ray_nor_a_server_is_loaded(optimize: Optimize):
    code = (
        "import sys\nfrom serve_app.cli import cli\n"
        "try:\n    cli(['optimize', *sys.argv[1:]])\nexcept SystemExit:\n    pass\n"
        "print({'ray', 'uvicorn'} & set(sys.modules), file=sys.stderr)"
    )

    command = [sys.executable, "-c", code, *GOOD]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)

    assert done.stderr.splitlines()[-1] == "set()"


def test_25_accounts_in_csv_become_a_workbook_of_trades_in_one_command(optimize: Optimize):
    rows: list[tuple[Any, ...]] = [("Account", "Ticker", "Shares")]
    for number in range(25):
        rows += [
            (f"U{number:03}", "VTI", f"{number}.5"),
            (f"U{number:03}", "BND", 40),
            (f"U{number:03}", "Cash", f"{1000 + number}.25"),
        ]
    Path("accounts.csv").write_bytes(csv_of(rows))

    done = optimize("accounts.csv", "prices.csv", "model.csv", "-o", "trades.xlsx")

    assert done.exit_code == 0, done.output
    with ZipFile(BytesIO(Path("trades.xlsx").read_bytes())) as archive:
        outcomes = archive.read("xl/worksheets/sheet2.xml").decode()
    assert outcomes.count("<row ") == 26


def test_the_template_is_files_that_run_with_the_same_answer(optimize: Optimize, tmp_path: Path):
    runner = CliRunner()
    made = runner.invoke(cli, ["template", str(tmp_path / "example")])
    again = runner.invoke(cli, ["template", str(tmp_path / "example")])

    assert made.exit_code == 0, made.output
    assert again.exit_code == 2
    assert "would be replaced" in again.stderr
    inside = [f"example/{name}.csv" for name in ("holdings", "prices", "model", "options")]
    options = ("--options", "example/options.json", "--json")
    of_files = optimize(*inside, *options)
    of_book = optimize("example/accounts.xlsx", *options)
    assert of_files.exit_code == 0, of_files.output
    statuses = {outcome["status"] for outcome in json.loads(of_files.stdout)}
    assert statuses == {"REBALANCED"}
    plans = [
        [outcome["transactions"] for outcome in json.loads(done.stdout)]
        for done in (of_files, of_book)
    ]
    assert plans[0] == plans[1]
