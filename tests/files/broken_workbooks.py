"""Workbooks and tables of cells that are broken, by kind and case."""

from collections.abc import Callable
from datetime import date
from io import BytesIO
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import xlsxwriter

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
    workbook_of,
)
from tests.files.broken_texts import HEADER, Case, book, with_row


def formatted(write: Callable[[Any, Any], None], sheet: str = "Prices") -> Files:
    """Make a good workbook in which ``write`` changes a sheet."""
    sink = BytesIO()
    with xlsxwriter.Workbook(sink) as made:
        for name, rows in SHEETS.items():
            page = made.add_worksheet(name)
            for number, row in enumerate(rows):
                for column, value in enumerate(row):
                    page.write(number, column, value)
            if name == sheet:
                write(made, page)
    return {"book.xlsx": sink.getvalue()}


def edited(member: str, old: str, new: str, **changed: Rows) -> Files:
    """Edit the XML of a workbook whose formulas are computed."""
    computed = edit_workbook(workbook_of(**changed), "xl/workbook.xml", ' fullCalcOnLoad="1"', "")
    return {"book.xlsx": edit_workbook(computed, member, old, new)}


def bomb() -> bytes:
    sink = BytesIO()
    with ZipFile(BytesIO(workbook_of())) as source, ZipFile(sink, "w", ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
        with target.open("xl/worksheets/sheet9.xml", "w") as large:
            for _ in range(600):
                large.write(bytes(1_000_000))
    return sink.getvalue()


VALUE = '<c r="B2"><v>201.5</v></c>'
TYPED_PRICES: Rows = (("security", "price"), ("VTI", 201.5), ("BND", 72.25))
SHEET_2 = "xl/worksheets/sheet2.xml"


def _archive() -> bytes:
    sink = BytesIO()
    with ZipFile(sink, "w") as target:
        target.writestr("content.xml", "<a/>")
    return sink.getvalue()


BROKEN_WORKBOOKS: dict[str, Case] = {
    # merged cells
    "merged: an account over its holdings": (
        lambda: formatted(lambda _, page: page.merge_range("A2:A3", "A1"), "Holdings"),
        "book.xlsx, sheet 'Holdings', row 3, column 'portfolio'",
        "part of the merged cells A2:A3",
    ),
    "merged: two headers": (
        lambda: formatted(lambda _, page: page.merge_range("A1:B1", "security")),
        "book.xlsx, sheet 'Prices', row 1, column 'B'",
        "part of the merged cells A1:B1",
    ),
    "merged: a price for two securities": (
        lambda: formatted(lambda _, page: page.merge_range("B2:B3", 100)),
        "book.xlsx, sheet 'Prices', row 3, column 'price'",
        "part of the merged cells B2:B3",
    ),
    "merged: a target over its band": (
        lambda: formatted(lambda _, page: page.merge_range("B2:C2", 0.5), "Model"),
        "book.xlsx, sheet 'Model', row 2, column 'band'",
        "part of the merged cells B2:C2",
    ),
    "merged: a block of cells": (
        lambda: formatted(lambda _, page: page.merge_range("B2:C3", 7), "Holdings"),
        "book.xlsx, sheet 'Holdings', row 3, column 'security'",
        "part of the merged cells B2:C3",
    ),
    # dates as numbers
    "date: a price with the format of a date": (
        lambda: formatted(
            lambda made, page: page.write(1, 1, 201.5, made.add_format({"num_format": "d.m.yyyy"}))
        ),
        "book.xlsx, sheet 'Prices', row 2, column 'price'",
        "the cell is a date",
    ),
    "date: a built-in format": (
        lambda: formatted(
            lambda made, page: page.write(1, 1, 45000, made.add_format({"num_format": 14}))
        ),
        "book.xlsx, sheet 'Prices', row 2, column 'price'",
        "the cell is a date",
    ),
    "date: a ticker that became one": (
        lambda: formatted(
            lambda made, page: page.write_datetime(
                1, 0, date(2026, 3, 1), made.add_format({"num_format": "d-mmm"})
            )
        ),
        "book.xlsx, sheet 'Prices', row 2, column 'security'",
        "the cell is a date",
    ),
    "date: a fraction that became one in a text": (
        lambda: files_of(model=csv_of((*MODEL[:2], ("BND", "3-Jan", "5%")))),
        "model.csv, row 3, column 'target'",
        "a number is expected",
    ),
    "date: a time that has elapsed": (
        lambda: formatted(
            lambda made, page: page.write(1, 1, 1.5, made.add_format({"num_format": "[h]:mm"}))
        ),
        "book.xlsx, sheet 'Prices', row 2, column 'price'",
        "the cell is a date",
    ),
    "date: in a column of a Parquet file": (
        lambda: {
            **files_of(),
            "prices.csv": parquet_of(security=["VTI", "BND"], price=[date(2026, 1, 2)] * 2),
        },
        "prices.csv, row 1, column 'price'",
        "a value of type date32[day] is neither",
    ),
    "date: in a text": (
        lambda: files_of(prices=csv_of(with_row(PRICES, "X", "2026-01-03"))),
        "prices.csv, row 4, column 'price'",
        "a number is expected",
    ),
    # duplicate headers
    "headers: two prices": (
        lambda: files_of(prices=csv_of((("security", "price", "price"), ("VTI", 1, 2)))),
        "prices.csv, row 1",
        "'price' and 'price' can both be the price",
    ),
    "headers: two names of a price": (
        lambda: files_of(prices=csv_of((("security", "last", "close"), ("VTI", 1, 2)))),
        "prices.csv, row 1",
        "'last' and 'close' can both be the price: name the one that is meant 'price'",
    ),
    "headers: two names of a security": (
        lambda: book(Prices=(("ISIN", "Ticker", "price"), ("X", "VTI", 1))),
        "book.xlsx, sheet 'Prices', row 1",
        "'ISIN' and 'Ticker' can both be the security",
    ),
    "headers: a security twice in a wide table": (
        lambda: files_of(holdings=csv_of((("portfolio", "VTI", "VTI"), ("A1", 1, 2)))),
        "holdings.csv, row 1, column 'VTI'",
        "two columns have this header",
    ),
    "headers: two accounts": (
        lambda: files_of(holdings=csv_of((("account", "client", "ticker", "qty"), "ABCD"))),
        "holdings.csv, row 1",
        "'account' and 'client' can both be the portfolio",
    ),
    "headers: no quantity": (
        lambda: files_of(holdings=csv_of((("portfolio", "security", "value"), ("A1", "VTI", 1)))),
        "holdings.csv, row 1",
        "no column is the quantity",
    ),
    "headers: a column of a wide table that is no security": (
        lambda: files_of(holdings=csv_of((("portfolio", "VTI", "Age"), ("A1", 1, 61)))),
        "holdings.csv, row 1, column 'Age'",
        "no security with a price or a target",
    ),
    "headers: a unit that scales": (
        lambda: files_of(holdings=csv_of((("portfolio", "security", "shares (thousands)"),
                                          ("A1", "VTI", 1)))),
        "holdings.csv, row 1, column 'shares (thousands)'",
        "the unit 'thousands' is unknown",
    ),
    # missing sheet
    "sheet: no prices": (
        lambda: {"book.xlsx": workbook_of({"Holdings": HOLDINGS, "Model": MODEL})},
        "book.xlsx",
        "no sheet has the prices (security and price); the sheets are 'Holdings', 'Model'",
    ),
    "sheet: no model": (
        lambda: {"book.xlsx": workbook_of({"Holdings": HOLDINGS, "Prices": PRICES})},
        "book.xlsx",
        "no sheet has the model",
    ),
    "sheet: no holdings": (
        lambda: {"book.xlsx": workbook_of({"Prices": PRICES, "Model": MODEL})},
        "book.xlsx",
        "no sheet has the holdings",
    ),
    "sheet: only notes": (
        lambda: {"book.xlsx": workbook_of({"Notes": (("Read me",),)})},
        "book.xlsx",
        "no sheet has the holdings",
    ),
    "sheet: prices without a row": (
        lambda: book(Prices=()),
        "book.xlsx, sheet 'Prices'",
        "no column is the security",
    ),
    "sheet: two models": (
        lambda: {"book.xlsx": workbook_of(Targets=MODEL)},
        "book.xlsx, sheet 'Targets'",
        "give one model, not several",
    ),
    # formulas
    "formula: an error": (
        lambda: edited(SHEET_2, VALUE, '<c r="B2" t="e"><f>1/0</f><v>#DIV/0!</v></c>',
                       Prices=TYPED_PRICES),
        "book.xlsx, sheet 'Prices', row 2, column 'price': '#DIV/0!'",
        "the cell shows an error",
    ),
    "formula: a look-up that found nothing": (
        lambda: edited(SHEET_2, VALUE, '<c r="B2" t="e"><v>#N/A</v></c>', Prices=TYPED_PRICES),
        "book.xlsx, sheet 'Prices', row 2, column 'price': '#N/A'",
        "the cell shows an error",
    ),
    "formula: no stored value": (
        lambda: edited(SHEET_2, VALUE, '<c r="B2"><f>A9*2</f></c>', Prices=TYPED_PRICES),
        "book.xlsx, sheet 'Prices', row 2, column 'price': '=A9*2'",
        "the value of the formula is not stored",
    ),
    "formula: the 0 of a program that cannot compute it": (
        lambda: book(Prices=(("security", "price"), ("VTI", "=100+1"), ("BND", 72))),
        "book.xlsx, sheet 'Prices', row 2, column 'price'",
        "the value of the formula is not stored",
    ),
    "formula: a truth value": (
        lambda: edited(SHEET_2, VALUE, '<c r="B2" t="b"><v>1</v></c>', Prices=TYPED_PRICES),
        "book.xlsx, sheet 'Prices', row 2, column 'price': 'TRUE'",
        "the cell is TRUE or FALSE",
    ),
    "formula: in the column of a wide table": (
        lambda: book(Holdings=(("portfolio", "cash", "VTI"), ("A1", 5, "=1+1"))),
        "book.xlsx, sheet 'Holdings', row 2, column 'VTI'",
        "the value of the formula is not stored",
    ),
    # values
    "value: a price of nothing": (
        lambda: files_of(prices=csv_of(with_row(PRICES, "X", ""))),
        "prices.csv, row 4, column 'price'",
        "a number is missing",
    ),
    "value: a second price": (
        lambda: files_of(prices=csv_of(with_row(PRICES, "VTI", 9))),
        "prices.csv, row 4, column 'price'",
        "VTI has a price already: 201.50 in prices.csv, row 2",
    ),
    "value: a holding in two rows": (
        lambda: files_of(holdings=csv_of(with_row(HOLDINGS, "A1", "VTI", 9))),
        "holdings.csv, row 6, column 'quantity'",
        "A1 has VTI already, in holdings.csv, row 2, column 'quantity': give their sum",
    ),
    "value: a percentage of shares": (
        lambda: files_of(holdings=csv_of(with_row(HOLDINGS, "A1", "BND", "9%"))),
        "holdings.csv, row 6, column 'quantity'",
        "not a percentage",
    ),
    "value: two currencies": (
        lambda: files_of(prices=csv_of((PRICES[0], ("VTI", "$201.50"), ("BND", "€72")))),
        "prices.csv, row 3, column 'price'",
        "all amounts are in one currency, and it is USD in prices.csv, row 2",
    ),
    "value: two currencies in a column": (
        lambda: files_of(
            prices=csv_of((("security", "price", "ccy"), ("VTI", 2, "USD"), ("BND", 7, "EUR")))
        ),
        "prices.csv, row 3, column 'ccy'",
        "all amounts are in one currency",
    ),
    "value: a target of 60 without a percent sign": (
        lambda: files_of(model=csv_of((MODEL[0], ("VTI", 60, "5%")))),
        "model.csv, row 2, column 'target'",
        "write 60% for a percentage",
    ),
    "value: parts under a header that says percent": (
        lambda: files_of(
            model=csv_of((("security", "target %", "band"), ("VTI", 0.6, "5%"), ("BND", 0.3, "5%")))
        ),
        "model.csv, row 1, column 'target %'",
        "all targets together are less than 1%",
    ),
    "value: percent signs in some cells alone": (
        lambda: files_of(model=csv_of((*MODEL[:2], ("BND", "0.3", "5%")))),
        "model.csv, row 3, column 'target'",
        "other cells of the column are written with a percent sign",
    ),
    "value: a band of 1": (
        lambda: files_of(model=csv_of((MODEL[0], ("VTI", "0.6", 1)))),
        "model.csv, row 2, column 'band'",
        "write 100% for that, or 1% for a percent",
    ),
    "value: edges and distances in one column": (
        lambda: files_of(
            model=csv_of(
                (
                    ("security", "target", "low", "high"),
                    ("VTI", "0.6", "0.55", "0.65"),
                    ("BND", "0.3", "0.05", "0.05"),
                )
            )
        ),
        "model.csv, row 3, column 'target'",
        "the target is not between low and high",
    ),
    "value: targets above 1": (
        lambda: files_of(model=csv_of((MODEL[0], ("VTI", "60%", "5%"), ("BND", "41%", "5%")))),
        "model.csv, row 1",
        "the targets may sum to 1 at most",
    ),
    "value: cash and targets that are not 1 together": (
        lambda: files_of(model=csv_of((*MODEL, ("Cash", "5%", "")))),
        "model.csv, row 4, column 'target'",
        "cash is what the other targets leave of 1",
    ),
    "value: a band of cash": (
        lambda: files_of(model=csv_of((MODEL[0], ("VTI", "60%", "5%"), ("Cash", "40%", "5%")))),
        "model.csv, row 3, column 'band'",
        "cash has no band",
    ),
    "value: a security named CASH with a price": (
        lambda: files_of(prices=csv_of(with_row(PRICES, "CASH", "61.20"))),
        "prices.csv, row 4, column 'price'",
        "this line is read as cash, whose price is 1",
    ),
    "value: two amounts of cash": (
        lambda: files_of(holdings=csv_of(with_row(HOLDINGS, "A1", "Cash", 7))),
        "holdings.csv, row 6, column 'quantity'",
        "the cash is 2500.50 in holdings.csv, row 3",
    ),
    "value: an account of 17 digits as a number": (
        lambda: book(Holdings=(HEADER, (12345678901234567, "VTI", 1))),
        "book.xlsx, sheet 'Holdings', row 2, column 'portfolio'",
        "store the id as text",
    ),
    # files
    "file: empty": (lambda: files_of(prices=b""), "prices.csv", "the file is empty"),
    "file: an old workbook": (
        lambda: {"book.xls": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100)},
        "book.xls",
        "save it as .xlsx",
    ),
    "file: a workbook that is cut short": (
        lambda: {"book.xlsx": workbook_of()[:2000]},
        "book.xlsx",
        "the workbook cannot be read",
    ),
    "file: another archive": (
        lambda: {"book.xlsx": _archive()},
        "book.xlsx",
        "no .xlsx workbook",
    ),
    "file: a Parquet file that is cut short": (
        lambda: {**files_of(), "prices.csv": parquet_of(security=["VTI"], price=[1])[:-5]},
        "prices.csv",
        "no readable Parquet",
    ),
    "file: a zip bomb": (lambda: {"book.xlsx": bomb()}, "book.xlsx", "once it is inflated"),
    "file: a document type with entities": (
        lambda: edited("xl/workbook.xml", "<workbook",
                       '<!DOCTYPE a [<!ENTITY b "c">]><workbook'),
        "book.xlsx",
        "a DTD",
    ),
}  # fmt: skip
