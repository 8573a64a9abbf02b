"""Files as people have them: the right reading of each."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from io import BytesIO
from typing import Any

import pyarrow as pa
import pytest
import xlsxwriter
from pyarrow import parquet

from optimization import DriftBand, Weight
from tests.files.books import (
    HOLDINGS,
    MODEL,
    PRICES,
    SHEETS,
    Files,
    Rows,
    csv_of,
    edit_workbook,
    files_of,
    parquet_of,
    request_of,
    workbook_of,
)

HEADER = HOLDINGS[0]
HELD = {"A1": {"VTI": Decimal(100)}, "A2": {"BND": Decimal("20.5")}}


def holdings_in(files: Files) -> Mapping[str, Mapping[str, Decimal]]:
    return {
        portfolio.portfolio_id: portfolio.holdings
        for portfolio in request_of(files).body.portfolios
    }


def cash_in(files: Files) -> Mapping[str, Decimal]:
    return {
        portfolio.portfolio_id: portfolio.cash for portfolio in request_of(files).body.portfolios
    }


def bands_in(*model: Any) -> Mapping[str, tuple[Weight, DriftBand]]:
    found = request_of(files_of(model=csv_of(model))).model.targets
    return {target.security_id: (target.weight, target.band) for target in found}


def band(low: str, high: str) -> DriftBand:
    return DriftBand(Decimal(low), Decimal(high))


def quantity(text: str, *beside: str, delimiter: str = ";") -> Decimal:
    """Read a quantity beside other quantities."""
    rows = (
        (f"A{number}", "VTI", quantity_text) for number, quantity_text in enumerate((text, *beside))
    )
    return holdings_in(files_of(holdings=csv_of((HEADER, *rows), delimiter)))["A0"]["VTI"]


WAYS: dict[str, Callable[[], Files]] = {
    "commas": files_of,
    "semicolons": lambda: files_of(holdings=csv_of(HOLDINGS, ";")),
    "tabs": lambda: files_of(holdings=csv_of(HOLDINGS, "\t")),
    "bars": lambda: files_of(holdings=csv_of(HOLDINGS, "|")),
    "UTF-8 with a byte order mark": lambda: files_of(
        holdings=csv_of(HOLDINGS, encoding="utf-8-sig")
    ),
    "UTF-16": lambda: files_of(holdings=csv_of(HOLDINGS, "\t", "utf-16")),
    "UTF-16 of big ends": lambda: files_of(
        holdings=b"\xfe\xff" + csv_of(HOLDINGS, "\t", "utf-16-be")
    ),
    "a delimiter that the first line names": lambda: files_of(
        holdings=b"sep=;\r\n" + csv_of(HOLDINGS, ";")
    ),
    "blank lines": lambda: files_of(holdings=b"\r\n" + csv_of(HOLDINGS) + b",,\r\n\r\n"),
    "quotes around everything": lambda: files_of(
        holdings=csv_of([[f'"{cell}"' for cell in row] for row in HOLDINGS])
    ),
    "other headers": lambda: files_of(
        holdings=csv_of((("Account No.", "Ticker_Symbol", "SHARES"), *HOLDINGS[1:]))
    ),
    "columns between": lambda: files_of(
        holdings=csv_of([("x", row[1], "y", row[2], row[0]) for row in HOLDINGS])
    ),
    "a workbook of three sheets": lambda: {"book.xlsx": workbook_of()},
    "a workbook with sheets of other names": lambda: {
        "book.xlsx": workbook_of({"1": HOLDINGS, "2": PRICES, "3": MODEL, "Read me": (("!",),)})
    },
    "Parquet": lambda: {
        "holdings.parquet": parquet_of(
            portfolio=["A1", "A1", "A2", "A2"],
            security=["VTI", "CASH", "BND", "CASH"],
            quantity=[100.0, 2500.5, 20.5, 900.0],
        ),
        "prices.parquet": parquet_of(security=["VTI", "BND"], price=[201.5, 72.25]),
        "model.parquet": parquet_of(
            security=["VTI", "BND"], target=["60%", "1/3"], band=[0.05] * 2
        ),
    },
    "a column for each security": lambda: files_of(
        holdings=csv_of(
            (("portfolio", "cash", "VTI", "BND"), ("A1", "2500.50", 100, ""), ("A2", 900, 0, 20.5))
        )
    ),
    "a column of cash": lambda: files_of(
        holdings=csv_of(
            ((*HEADER, "cash"), ("A1", "VTI", 100, "2500.50"), ("A2", "BND", "20.5", "900"))
        )
    ),
    "a row that has cash alone": lambda: files_of(
        holdings=csv_of(
            (
                (*HEADER, "cash"),
                ("A1", "VTI", 100, ""),
                ("A1", "", "", "2500.50"),
                ("A2", "BND", "20.5", "900"),
            )
        )
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_write_the_same_accounts_is_the_same_request(way: str):
    given = request_of(WAYS[way]())

    held = {
        portfolio.portfolio_id: {
            security: shares for security, shares in portfolio.holdings.items() if shares
        }
        for portfolio in given.body.portfolios
    }
    assert held == HELD
    assert {portfolio.portfolio_id: portfolio.cash for portfolio in given.body.portfolios} == {
        "A1": Decimal("2500.5"),
        "A2": Decimal(900),
    }
    assert given.body.prices == {"VTI": Decimal("201.5"), "BND": Decimal("72.25")}
    assert [(target.security_id, target.weight, target.band) for target in given.model.targets] == [
        ("VTI", Decimal("0.6"), band("0.05", "0.05")),
        ("BND", Fraction(1, 3), band("0.05", "0.05")),
    ]
    assert given.notes == {}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.234,50", "1234.50"),
        ("1,234.50", "1234.50"),
        ("1 234,50", "1234.50"),
        ("1'234.50", "1234.50"),
        ("1\u00a0234,5", "1234.5"),
        ("1.234.567", "1234567"),
        ("1,234,567.25", "1234567.25"),
        ("0,125", "0.125"),
        ("12,5", "12.5"),
        ("1234.567", "1234.567"),
        (".5", "0.5"),
        ("+7", "7"),
        ("-7", "-7"),
        ("\u22127,5", "-7.5"),
        ("(1.234,50)", "-1234.50"),
        ("1e-08", "0.00000001"),
        ("$1,234.50", "1234.50"),
        ("1.234,50 €", "1234.50"),
        ("USD 12.50", "12.50"),
    ],
)
def test_a_number_that_can_be_read_in_one_way_is_read(text: str, value: str):
    assert quantity(text) == Decimal(value)


@pytest.mark.parametrize(
    ("text", "beside", "value"),
    [
        ("1.234", "0,5", "1234"),
        ("1.234", "0.5", "1.234"),
        ("1,234", "0,5", "1.234"),
        ("1,234", "1.234.567", "1.234"),
        ("1,234", "2,500.75", "1234"),
    ],
)
def test_other_numbers_of_the_table_tell_the_decimal_mark(text: str, beside: str, value: str):
    assert quantity(text, beside) == Decimal(value)


def test_a_point_is_the_decimal_mark_where_the_comma_separates_values():
    assert quantity("31.125", delimiter=",") == Decimal("31.125")


@pytest.mark.parametrize(
    ("headers", "line", "expected"),
    [
        (("target", "band"), ("60%", "2.5%"), band("0.025", "0.025")),
        (("weight", "tolerance"), ("0.6", "0.025"), band("0.025", "0.025")),
        (("Target (%)", "Band %"), ("60", "2.5"), band("0.025", "0.025")),
        (("target", "low", "high"), ("0.6", "0.55", "0.62"), band("0.05", "0.02")),
        (("target", "min", "max"), ("60%", "0%", "62%"), band("0.6", "0.02")),
        (("target", "low", "high"), ("0.6", "0.05", "0.02"), band("0.05", "0.02")),
        (("target", "low_drift", "high_drift"), ("0.6", "0.1", "0.05"), band("0.1", "0.05")),
        (("target", "relative_drift"), ("0.6", "25%"), band("0.15", "0.15")),
        (
            ("target", "relative drift", "absolute drift"),
            ("0.6", "25%", "5%"),
            band("0.05", "0.05"),
        ),
    ],
)
def test_a_band_is_read_in_each_notation(
    headers: tuple[str, ...], line: tuple[str, ...], expected: DriftBand
):
    assert bands_in(("security", *headers), ("VTI", *line)) == {"VTI": (Decimal("0.6"), expected)}


def test_thirds_are_exact_with_edges():
    found = bands_in(("security", "target", "low", "high"), ("VTI", "1/3", "30%", "40%"))

    assert found == {"VTI": (Fraction(1, 3), DriftBand(Fraction(1, 30), Fraction(1, 15)))}


def test_a_line_of_cash_is_what_the_other_targets_leave():
    found = bands_in(*MODEL[:2], ("BND", "35%", "5%"), ("Cash", "5%", ""))

    assert found.keys() == {"VTI", "BND"}


def test_floats_of_a_workbook_are_read_by_the_digits_it_shows():
    prices: Rows = (("security", "price"), ("VTI", 0.1), ("BND", 1 - 0.67), ("X", 1e-7))

    assert request_of({"book.xlsx": workbook_of(Prices=prices)}).body.prices == {
        "VTI": Decimal("0.1"),
        "BND": Decimal("0.33"),
        "X": Decimal("0.0000001"),
    }


def format_rows(sheet: str, number_format: str, at: tuple[int, int], *rows: Sequence[Any]) -> Files:
    """Make a good workbook with rows of this number format in a sheet."""
    sink = BytesIO()
    with xlsxwriter.Workbook(sink) as book:
        form = book.add_format({"num_format": number_format})
        for name, good in SHEETS.items():
            page = book.add_worksheet(name)
            for number, row in enumerate(good):
                page.write_row(number, 0, row)
            if name == sheet:
                for number, row in enumerate(rows, at[0]):
                    page.write_row(number, at[1], row, form)
    return {"book.xlsx": sink.getvalue()}


def test_cells_shown_as_percent_are_parts_whatever_the_header_says():
    files = format_rows("Model", "0.0%", (0, 1), ("Target %", "band"), (0.6, 0.05), (0.35, 0.05))

    targets = request_of(files).model.targets

    assert [target.weight for target in targets] == [Decimal("0.6"), Decimal("0.35")]


def test_an_account_number_keeps_the_zeros_that_its_format_shows():
    files = format_rows("Holdings", "000000", (1, 0), (123,), (123,), (77,), (77,))

    assert holdings_in(files).keys() == {"000123", "000077"}


def test_a_formula_with_its_stored_value_is_read():
    prices: Rows = (("security", "price"), ("VTI", 201.5), ("BND", 72.25))
    computed = edit_workbook(
        workbook_of(Prices=prices), "xl/workbook.xml", ' fullCalcOnLoad="1"', ""
    )
    data = edit_workbook(
        computed, "xl/worksheets/sheet2.xml", "<v>201.5</v>", "<f>2*100.75</f><v>201.5</v>"
    )

    assert request_of({"book.xlsx": data}).body.prices["VTI"] == Decimal("201.5")


def test_cells_that_are_not_needed_may_be_anything():
    rows = [(*PRICES[0], "note", "day"), *((*row, "=1/0", "2026-01-01") for row in PRICES[1:])]

    assert request_of({"book.xlsx": workbook_of(Prices=rows)}).body.prices["VTI"] == Decimal(
        "201.5"
    )


def test_decimals_of_parquet_keep_every_digit():
    sink = BytesIO()
    prices = pa.array([Decimal("0.123456789012345678"), Decimal("72.25")], pa.decimal128(38, 18))
    table = pa.table({"isin": pa.array(["VTI", "BND"]).dictionary_encode(), "close": prices})
    parquet.write_table(table, sink)

    found = request_of(files_of(prices=sink.getvalue())).body.prices

    assert found["VTI"] == Decimal("0.123456789012345678")


def test_prices_may_stand_beside_the_holdings():
    rows = [
        (*row, price) for row, price in zip(HOLDINGS, ("last", 201.5, 1, 72.25, ""), strict=True)
    ]

    files = {"accounts.csv": csv_of(rows), "model.csv": csv_of(MODEL)}

    assert request_of(files).body.prices == {"VTI": Decimal("201.5"), "BND": Decimal("72.25")}
    assert holdings_in(files) == HELD


def test_one_table_may_have_everything():
    rows = (
        ("portfolio", "security", "quantity", "price", "target", "band"),
        ("A1", "VTI", 100, "201.50", "60%", "5%"),
        ("A1", "BND", 0, "72.25", "35%", "5%"),
        ("A1", "OLD", 3, "9", "", ""),
        ("A1", "Cash", 10, "", "", ""),
        ("A2", "VTI", 7, "201.50", "60%", "5%"),
    )

    given = request_of({"all.csv": csv_of(rows)})

    assert [target.security_id for target in given.model.targets] == ["VTI", "BND"]
    assert given.body.prices.keys() == {"VTI", "BND", "OLD"}
    assert cash_in({"all.csv": csv_of(rows)}) == {"A1": Decimal(10), "A2": Decimal(0)}
    assert given.notes == {"A2": "no cash is given: counted as 0"}
    assert given.summary == "no cash is given for 1 of 2 portfolios: counted as 0"


def test_weights_of_today_beside_quantities_are_no_model():
    rows = [(*row, "5%", "5%") for row in HOLDINGS]
    rows[0] = (*HEADER, "weight", "band")

    given = request_of(
        {
            "accounts.csv": csv_of(rows),
            **{name: data for name, data in files_of().items() if name != "holdings.csv"},
        }
    )

    assert [target.weight for target in given.model.targets] == [Decimal("0.6"), Fraction(1, 3)]


def test_accounts_may_be_spread_over_files():
    files = {
        **files_of(),
        "more.csv": csv_of((HEADER, ("A3", "VTI", 1))),
    }

    assert holdings_in(files).keys() == {"A1", "A2", "A3"}
