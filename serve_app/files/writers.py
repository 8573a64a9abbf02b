"""Writers of the report: CSV, Excel workbooks, Parquet, and the JSON of POST /optimize."""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from io import BytesIO, StringIO
from typing import Any, Final, NamedTuple

import pyarrow as pa
import xlsxwriter
from pyarrow import parquet

from optimization import PortfolioOutcome, count_needed_decimals, weight_text
from serve_app.api.exports.transactions import escape_formula
from serve_app.api.schemas.outcome_lines import OutcomeLines
from serve_app.api.schemas.rebalances import NO_NOTES, outcome_json
from serve_app.files.report import (
    WEIGHTS,
    DriftRow,
    OutcomeRow,
    TradeRow,
    list_drift,
    list_outcomes,
    list_trades,
)
from serve_app.json_text import encode, plain
from serve_app.problems.errors import TooManyRowsError

MAX_SHEET_ROWS: Final = 1_048_576  # including the header
MAX_SHEET_DIGITS: Final = 15
MAX_DECIMALS: Final = 18
TEXTS: Final = frozenset(
    {"portfolio", "security", "side", "status", "reason", "note", "target", "low", "high"}
)


Notes = Mapping[str, str]
"""Assumptions about portfolios, by portfolio id."""


class ReportTable(NamedTuple):
    """One of the three tables of a report."""

    fields: tuple[str, ...]
    rows: Callable[[Sequence[PortfolioOutcome], Notes], Iterable[tuple[Any, ...]]]


def _ignore_notes(
    list_rows: Callable[[Sequence[PortfolioOutcome]], Iterable[tuple[Any, ...]]],
) -> Callable[[Sequence[PortfolioOutcome], Notes], Iterable[tuple[Any, ...]]]:
    """Adapt a list of rows that has no column for notes."""
    return lambda outcomes, _: list_rows(outcomes)


TABLES: Final[Mapping[str, ReportTable]] = {
    "trades": ReportTable(TradeRow._fields, _ignore_notes(list_trades)),
    "outcomes": ReportTable(OutcomeRow._fields, list_outcomes),
    "drift": ReportTable(DriftRow._fields, _ignore_notes(list_drift)),
}


def write_csv(table: str, outcomes: Sequence[PortfolioOutcome], notes: Notes = NO_NOTES) -> bytes:
    """Write one table as CSV (RFC 4180), decimals digit by digit."""
    fields, rows = TABLES[table]
    text = StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(fields)
    writer.writerows([_format_csv_cell(value) for value in row] for row in rows(outcomes, notes))
    return text.getvalue().encode()


def write_json(
    outcomes: Sequence[PortfolioOutcome], trade_date: str, notes: Notes = NO_NOTES
) -> bytes:
    """Write the outcomes as POST /optimize returns them."""
    lines = OutcomeLines(trade_date)
    return encode([outcome_json(outcome, None, None, lines, notes) for outcome in outcomes])


def write_parquet(
    table: str, outcomes: Sequence[PortfolioOutcome], notes: Notes = NO_NOTES
) -> bytes:
    """Write one table as Parquet; amounts are decimals, targets and edges of bands are texts."""
    fields, rows = TABLES[table]
    columns = [*zip(*rows(outcomes, notes), strict=True)] or [()] * len(fields)
    arrays = [
        _build_arrow_array(name, column) for name, column in zip(fields, columns, strict=True)
    ]
    sink = BytesIO()
    parquet.write_table(pa.table(arrays, names=list(fields)), sink, compression="zstd")
    return sink.getvalue()


def write_workbook(outcomes: Sequence[PortfolioOutcome], notes: Notes = NO_NOTES) -> bytes:
    """Write a workbook with a sheet for each table; raise TooManyRowsError if one is full.

    Numbers of more than 15 digits are texts, because a spreadsheet rounds them.
    """
    sink = BytesIO()
    with xlsxwriter.Workbook(sink, {"constant_memory": True}) as book:
        formats = {
            name: book.add_format(form)
            for name, form in {
                "header": {"bold": True},
                "whole": {"num_format": "#,##0"},
                "number": {"num_format": "#,##0.00########"},
                "weight": {"num_format": "0.00##########%"},
            }.items()
        }
        for name in TABLES:
            _write_sheet(book.add_worksheet(name.capitalize()), name, (outcomes, notes), formats)
    return sink.getvalue()


def _write_sheet(
    sheet: Any,
    table: str,
    answer: tuple[Sequence[PortfolioOutcome], Notes],
    formats: Mapping[str, Any],
) -> None:
    fields, rows = TABLES[table]
    for column, name in enumerate(fields):
        sheet.set_column(column, column, max(12, len(name) + 2))
        sheet.write_string(0, column, name.replace("_", " "), formats["header"])
    sheet.freeze_panes(1, 0)
    number = 0
    for number, row in enumerate(rows(*answer), 1):
        if number == MAX_SHEET_ROWS:
            raise TooManyRowsError(MAX_SHEET_ROWS)
        for column, (name, value) in enumerate(zip(fields, row, strict=True)):
            _write_cell(sheet, (number, column), name, value, formats)
    sheet.autofilter(0, 0, number, len(fields) - 1)


def _write_cell(
    sheet: Any, at: tuple[int, int], name: str, value: Any, formats: Mapping[str, Any]
) -> None:
    match value:
        case None:
            return
        case bool():
            sheet.write_boolean(*at, value)
        case int() | Decimal() if _fits_sheet(Decimal(value)):
            kind = "weight" if name in WEIGHTS else "whole" if isinstance(value, int) else "number"
            sheet.write_number(*at, value, formats[kind])
        case _:
            sheet.write_string(*at, _format_text(value))


def _fits_sheet(value: Decimal) -> bool:
    return len(plain(value).strip("-").replace(".", "").lstrip("0")) <= MAX_SHEET_DIGITS


def _format_csv_cell(value: Any) -> str:
    return (
        _format_text(value)
        if isinstance(value, Decimal | int)
        else escape_formula(_format_text(value))
    )


def _format_text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Decimal() | Fraction():
            return weight_text(value)
        case _:
            return str(value)


def _build_arrow_array(name: str, column: Sequence[Any]) -> Any:
    if name in TEXTS:
        return pa.array(
            [None if cell is None else _format_text(cell) for cell in column], pa.string()
        )
    if name == "trades":
        return pa.array(column, pa.int32())
    if name == "in_band":
        return pa.array(column, pa.bool_())
    numbers = [None if cell is None else Decimal(cell) for cell in column]
    # The wide type is used only where it is needed, because few programs read it.
    is_fine = any(
        number is not None and count_needed_decimals(number) > MAX_DECIMALS for number in numbers
    )
    return pa.array(numbers, pa.decimal256(76, 36) if is_fine else pa.decimal128(38, MAX_DECIMALS))
