"""Options of single portfolios in files: a table with a row for each portfolio."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import httpx
import pytest

from optimization import Direction, Percent
from serve_app.api.schemas.options import RebalanceOptionsBody, build_options
from serve_app.files.faults import FilesRefusedError
from serve_app.files.options_table import COLUMN_OPTIONS
from serve_app.files.readers import read_tables
from serve_app.files.request import build_request
from serve_app.settings import read_settings
from tests.files.books import SHEETS, csv_of, files_of, parquet_of, request_of, workbook_of
from tests.support.optimize_bodies import build_optimize_app, open_client

HEADERS = (
    *("portfolio", "Cash floor", "Direction", "do_not_sell", "fewest trades", "lots", "bands"),
    "Volumes",
)
ROW = ("A2", "2.5%", "buy only", "VTI; BND", True, '{"VTI": "0.5"}', None, '{"VTI": 900}')


def options_in(*rows: Any, **files: bytes) -> Mapping[str, Mapping[str, Any]]:
    request = request_of(files_of(options=csv_of(rows, "|"), **files))
    return {
        portfolio.portfolio_id: build_options(portfolio.options).values
        for portfolio in request.body.portfolios
        if portfolio.options is not None
    }


def faults_in(*rows: Any, common: RebalanceOptionsBody | None = None) -> list[str]:
    files = files_of(options=csv_of(rows, "|"))
    tables = [table for name, data in files.items() for table in read_tables(name, data)]
    with pytest.raises(FilesRefusedError) as refused:
        build_request(tables, common)
    return [str(fault) for fault in refused.value.faults]


def test_every_option_but_that_of_orders_has_a_column() -> None:
    assert {*RebalanceOptionsBody.model_fields} - {"open_orders"} == COLUMN_OPTIONS


@pytest.mark.parametrize("kind", ["csv", "workbook", "parquet"])
def test_a_row_gives_the_options_of_its_portfolio_in_every_form(kind: str) -> None:
    files = dict(files_of())
    if kind == "csv":
        files["options.csv"] = csv_of(
            (HEADERS, [("" if cell is None else cell) for cell in ROW]), "|"
        )
    elif kind == "workbook":
        files = {"book.xlsx": workbook_of({**SHEETS, "Options": (HEADERS, ROW)})}
    else:
        files["options"] = parquet_of(
            **{header: [cell] for header, cell in zip(HEADERS, ROW, strict=True)}
        )

    request = request_of(files)

    assert dict(request.options.own["A2"].values) == {
        "cash_floor": Percent(Decimal("2.5")),
        "direction": Direction.BUY_ONLY,
        "do_not_sell": frozenset({"VTI", "BND"}),
        "fewest_trades": True,
        "lots": {"VTI": Decimal("0.5")},
        "volumes": {"VTI": Decimal(900)},
    }
    assert request.body.portfolios[0].options is None


@pytest.mark.parametrize(
    ("header", "cell", "value"),
    [
        ("cash_floor", "1,500.50", Decimal("1500.50")),
        ("cash_floor (%)", "2", Percent(Decimal(2))),
        ("cash_floor", '{"amount": "0.5"}', Decimal("0.5")),
        ("turnover_cap", "10 %", Percent(Decimal(10))),
        ("cost_rate", "0.1%", Decimal("0.001")),
        ("maximum value", "5%", Percent(Decimal(5))),
        ("volume_share", "10 %", Decimal("0.1")),
        ("cost_per_trade", "$4.95", Decimal("4.95")),
        ("cash_flow", "(250)", Decimal(-250)),
        ("maximum_trades", "3", 3),
        ("frozen", '["VTI"]', frozenset({"VTI"})),
        ("liquidate", "no", False),
    ],
)
def test_cells_are_read_as_people_write_them(header: str, cell: str, value: Any) -> None:
    (options,) = options_in(("account", header), ("A1", cell)).values()

    assert [*options.values()] == [value]


def test_a_table_of_options_alone_needs_no_name() -> None:
    rows = csv_of((("account", "minimum value", "note"), ("A1", "100", "by hand")))
    named = request_of(files_of(options=rows))
    files = {**files_of(), "x.csv": csv_of((("account", "minimum value"), ("A1", "100")))}

    assert request_of(files).options == named.options


def test_every_fault_names_its_row_column_value_and_rule() -> None:
    headers = ("portfolio", "cash_floor", "direction", "maximum_trades", "fewest_trades", "frozen")
    faults = faults_in(
        headers,
        ("A1", "0.02", "", "", "", ""),
        ("A1", "", "", "", "", ""),
        ("A3", "", "", "", "", ""),
        ("A2", "x", "up", "1.5", "maybe", ""),
    )

    assert len(faults) == 7
    assert faults[0].startswith("options.csv, row 2, column 'cash_floor': '0.02': ")
    rule = "the options of this portfolio are in options.csv, row 2, column 'portfolio'"
    assert faults[1:3] == [
        f"options.csv, row 3, column 'portfolio': 'A1': {rule}",
        "options.csv, row 4, column 'portfolio': 'A3': no table of holdings has this portfolio",
    ]
    assert faults[3].startswith("options.csv, row 5, column 'cash_floor': 'x': a number")
    assert faults[4] == (
        "options.csv, row 5, column 'fewest_trades': 'maybe': TRUE or FALSE is expected here"
    )
    assert faults[5].startswith("options.csv, row 5, column 'direction': 'up': Input should be")
    assert faults[6].startswith("options.csv, row 5, column 'maximum_trades': '1.5': ")


def test_a_header_that_is_no_option_is_refused_because_it_would_be_lost() -> None:
    misspelt, orders = faults_in(("portfolio", "cash_floors", "open_orders"), ("A1", "1", "COUNT"))

    assert misspelt.startswith(
        "options.csv, row 1, column 'cash_floors': 'cash_floors': no option has"
    )
    assert "files know no orders" in orders


def test_an_id_that_nothing_knows_is_named_in_its_cell() -> None:
    assert faults_in(("portfolio", "frozen"), ("A2", "VTI, GMEE")) == [
        "options.csv, row 2, column 'frozen': 'GMEE': it is in no portfolio and not in the model"
    ]


def test_an_option_that_conflicts_with_one_of_all_portfolios_is_a_fault_of_its_row() -> None:
    common = RebalanceOptionsBody.model_validate({"cash_ceiling": 100})

    (fault,) = faults_in(("portfolio", "cash_floor"), ("A2", "200"), common=common)

    assert fault.startswith("options.csv, row 2, column ")


async def test_a_form_has_options_of_all_as_json_and_of_single_ones_as_a_table() -> None:
    tables = {name.removesuffix(".csv"): (name, data) for name, data in files_of().items()}
    own = csv_of((("portfolio", "direction"), ("A2", "SELL_ONLY")))
    parts = [*tables.items(), ("options", ("options.csv", own))]
    async with open_client(build_optimize_app(read_settings({}))) as client:
        answer: httpx.Response = await client.post(
            "/api/v1/optimize", files=parts, data={"options": '{"minimum_shares": 2}'}
        )

    assert answer.status_code == 200, answer.text
    sides = [
        {trade["transaction_type"] for trade in element["transactions"]}
        for element in answer.json()
    ]
    assert sides == [{"BUY", "SELL"}, {"SELL"}]
