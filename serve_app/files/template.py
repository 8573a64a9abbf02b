"""Example files that run: two accounts, three funds, options, as CSV and as one workbook."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any, Final

import xlsxwriter

Rows = Sequence[Sequence[Any]]

HOLDINGS: Final[Rows] = (
    ("portfolio", "security", "quantity"),
    ("Alice", "VTI", 120),
    ("Alice", "BND", 210.5),
    ("Alice", "CASH", 3250.75),
    ("Bob", "VTI", 40),
    ("Bob", "VXUS", 95),
    ("Bob", "CASH", 15000),
)
PRICES: Final[Rows] = (
    ("security", "price"),
    ("VTI", 301.42),
    ("VXUS", 68.9),
    ("BND", 73.15),
)
MODEL: Final[Rows] = (
    ("security", "target", "band"),
    ("VTI", "50%", "5%"),
    ("VXUS", "20%", "5%"),
    ("BND", "28%", "5%"),
)
OPTIONS: Final[Rows] = (
    ("portfolio", "cash_floor", "do_not_sell"),
    ("Bob", "3%", "VXUS"),
)
COMMON_OPTIONS: Final = '{\n  "cash_floor": "1%"\n}\n'
SHEETS: Final[Mapping[str, Rows]] = {
    "holdings": HOLDINGS,
    "prices": PRICES,
    "model": MODEL,
    "options": OPTIONS,
}


def build_template_files() -> dict[str, bytes]:
    """Build the content of the files, by name."""
    files = {f"{name}.csv": _write_csv(rows) for name, rows in SHEETS.items()}
    return {**files, "options.json": COMMON_OPTIONS.encode(), "accounts.xlsx": _write_workbook()}


def _write_csv(rows: Rows) -> bytes:
    return "".join(f"{','.join(map(str, row))}\r\n" for row in rows).encode()


def _write_workbook() -> bytes:
    sink = BytesIO()
    with xlsxwriter.Workbook(sink) as book:
        bold = book.add_format({"bold": True})
        percent = book.add_format({"num_format": "0.##%"})
        for name, (headers, *rows) in SHEETS.items():
            sheet = book.add_worksheet(name.capitalize())
            sheet.set_column(0, len(headers) - 1, 14)
            sheet.write_row(0, 0, headers, bold)
            for number, row in enumerate(rows, 1):
                for column, value in enumerate(row):
                    if isinstance(value, str) and value.endswith("%"):
                        sheet.write_number(number, column, int(value[:-1]) / 100, percent)
                    else:
                        sheet.write(number, column, value)
    return sink.getvalue()
