"""Texts and tables that are broken, by kind and case."""

from collections.abc import Callable
from typing import Any

from tests.files.books import (
    HOLDINGS,
    PRICES,
    Files,
    Rows,
    csv_of,
    files_of,
    workbook_of,
)

Case = tuple[Callable[[], Files], str, str]
"""Files, the place that an error names, words of its rule."""
HEADER = HOLDINGS[0]
LATIN = "Müller"


def with_row(rows: Rows, *row: Any) -> Rows:
    return (*rows, row)


def book(**changed: Rows) -> Files:
    return {"book.xlsx": workbook_of(**changed)}


BROKEN_TEXTS: dict[str, Case] = {
    # encoding
    "encoding: an id in latin-1": (
        lambda: files_of(holdings=csv_of(with_row(HOLDINGS, LATIN, "VTI", 1), encoding="latin-1")),
        "holdings.csv, row 6, column 'portfolio'",
        "byte 0xFC is no UTF-8",
    ),
    "encoding: a security in cp1252": (
        lambda: files_of(prices=csv_of(with_row(PRICES, "CAFÉ", 1), encoding="cp1252")),
        "prices.csv, row 4, column 'security'",
        "byte 0xC9",
    ),
    "encoding: a euro sign of cp1252": (
        lambda: files_of(prices=csv_of(with_row(PRICES, "X", "5 €"), encoding="cp1252")),
        "prices.csv, row 4, column 'price'",
        "byte 0x80",
    ),
    "encoding: UTF-16 without a byte order mark": (
        lambda: files_of(prices=csv_of(PRICES, encoding="utf-16-le")),
        "prices.csv, row 1",
        "zero byte",
    ),
    "encoding: UTF-16 that is cut short": (
        lambda: files_of(prices=csv_of(PRICES, encoding="utf-16")[:-1]),
        "prices.csv, row 3",
        "no UTF-16",
    ),
    "encoding: a header in latin-1": (
        lambda: files_of(prices=csv_of((("security", "price", "Währung"),), encoding="latin-1")),
        "prices.csv, row 1, column 'C'",
        "no UTF-8",
    ),
    "encoding: a zero-width character in an id": (
        lambda: files_of(holdings=csv_of(with_row(HOLDINGS, "A\u200b3", "VTI", 1))),
        "holdings.csv, row 6, column 'portfolio'",
        "printable",
    ),
    # delimiter
    "delimiter: a comma that is not quoted": (
        lambda: files_of(holdings=csv_of(with_row(HOLDINGS, "A3", "VTI", "1,234.50"))),
        "holdings.csv, row 6",
        "the row has 4 values and the header has 3: a value with a comma must be quoted",
    ),
    "delimiter: a row that is too short": (
        lambda: files_of(holdings=csv_of(with_row(HOLDINGS, "A3", "VTI"))),
        "holdings.csv, row 6",
        "the row has 2 values",
    ),
    "delimiter: semicolons in rows below commas": (
        lambda: files_of(prices=csv_of(PRICES[:1]) + csv_of(PRICES[1:], ";")),
        "prices.csv, row 2",
        "the row has 1 values and the header has 2",
    ),
    "delimiter: none that is known": (
        lambda: files_of(prices=csv_of(PRICES, "~")),
        "prices.csv, row 1",
        "no column is the security",
    ),
    "delimiter: a quote that is not closed": (
        lambda: files_of(prices=csv_of(with_row(PRICES, '"X', 1))),
        "prices.csv, row 4",
        "no delimited text",
    ),
    "delimiter: text behind a quote": (
        lambda: files_of(prices=csv_of(with_row(PRICES, '"X"Y', 1))),
        "prices.csv, row 4",
        "no delimited text",
    ),
    # decimal marks
    "decimal: a comma with three digits that nothing explains": (
        lambda: files_of(
            holdings=csv_of((HEADER, ("A1", "VTI", "1,234")), ";"),
        ),
        "holdings.csv, row 2, column 'quantity'",
        "can be 1234 or 1.234",
    ),
    "decimal: a point with three digits that nothing explains": (
        lambda: files_of(holdings=csv_of((HEADER, ("A1", "VTI", "1.234")), ";")),
        "holdings.csv, row 2, column 'quantity'",
        "can be 1.234 or 1234",
    ),
    "decimal: commas and points beside a number of both readings": (
        lambda: files_of(
            holdings=csv_of(
                (HEADER, ("A1", "VTI", "1,50"), ("A1", "BND", "1.50"), ("A1", "X", "1.234")), ";"
            )
        ),
        "holdings.csv, row 4, column 'quantity'",
        "can be 1.234 or 1234",
    ),
    "decimal: groups of two digits": (
        lambda: files_of(holdings=csv_of((HEADER, ("A1", "VTI", "1,00,000")), ";")),
        "holdings.csv, row 2, column 'quantity'",
        "a number is expected",
    ),
    "decimal: two decimal marks": (
        lambda: files_of(holdings=csv_of((HEADER, ("A1", "VTI", "1.234.5")), ";")),
        "holdings.csv, row 2, column 'quantity'",
        "a number is expected",
    ),
    "decimal: a comma in a text cell of a workbook": (
        lambda: book(Holdings=(HEADER, ("A1", "VTI", "1,234"))),
        "book.xlsx, sheet 'Holdings', row 2, column 'quantity'",
        "can be 1234 or 1.234",
    ),
    "decimal: a number that a spreadsheet shortened": (
        lambda: files_of(holdings=csv_of((HEADER, ("A1", "VTI", "1.23E+05")))),
        "holdings.csv, row 2, column 'quantity'",
        "a spreadsheet shortened this number",
    ),
}  # fmt: skip
