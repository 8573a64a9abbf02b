"""Transactions of a stored rebalance as an Excel workbook.

Numbers of more than 15 significant digits are written as text, because a spreadsheet rounds them.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal
from typing import IO, Any, Final

import xlsxwriter

from serve_app.api.exports.transactions import COLUMNS, Line, Page, join_names
from serve_app.json_text import plain
from serve_app.problems.errors import TooManyRowsError

MAX_SHEET_ROWS: Final = 1_048_576  # including the header
DIGITS: Final = 15
WIDTHS: Final = (27, 27, 27, 17, 12, 14, 18, 12, 27, 27)
ROW_BATCH_SIZE: Final = 500  # rows, about 30 ms, because other threads wait meanwhile


async def write_workbook(pages: AsyncIterator[Page], max_rows: int = MAX_SHEET_ROWS) -> IO[bytes]:
    """Write the workbook to a temporary file, rewound; the caller closes it.

    Rows go to the disk as they come. Raise TooManyRowsError if the sheet is full.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        with tempfile.TemporaryDirectory(prefix="workbook-") as directory:
            await _write(file, directory, pages, max_rows)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


async def _write(
    file: IO[bytes], directory: str, pages: AsyncIterator[Page], max_rows: int
) -> None:
    sheet = _Sheet(file, directory, max_rows)
    try:
        async for page in pages:
            for start in range(0, len(page), ROW_BATCH_SIZE):
                await asyncio.to_thread(sheet.write, page[start : start + ROW_BATCH_SIZE])
    except BaseException:
        sheet.abandon()
        raise
    await asyncio.to_thread(sheet.finish)


class _Sheet:
    """One typed sheet with a frozen header and filters, written row by row."""

    def __init__(self, file: IO[bytes], directory: str, max_rows: int) -> None:
        options = {"constant_memory": True, "tmpdir": directory}
        self._book: Any = xlsxwriter.Workbook(file, options)
        self._max_rows = max_rows
        self._row = 1
        self._sheet = self._book.add_worksheet("Transactions")
        self._whole, self._fraction, self._day = (
            self._book.add_format({"num_format": form})
            for form in ("#,##0", "#,##0.00########", "yyyy-mm-dd")
        )
        bold = self._book.add_format({"bold": True})
        for column, (name, width) in enumerate(zip(COLUMNS, WIDTHS, strict=True)):
            self._sheet.set_column(column, column, width)
            self._sheet.write_string(0, column, name, bold)
        self._sheet.freeze_panes(1, 0)

    def write(self, page: Page) -> None:
        """Append rows."""
        for line in page:
            if self._row == self._max_rows:
                raise TooManyRowsError(self._max_rows)
            self._write_row(line)
            self._row += 1

    def finish(self) -> None:
        """Complete the workbook."""
        self._sheet.autofilter(0, 0, self._row - 1, len(COLUMNS) - 1)
        self._book.close()

    def abandon(self) -> None:
        """Discard the rows written so far."""
        self._sheet.row_data_fh.close()

    def _write_row(self, line: Line) -> None:
        for column, text in enumerate(line[:4]):
            self._sheet.write_string(self._row, column, str(text))
        for column, value in enumerate((line.quantity, line.price, line.amount), 4):
            self._write_number(column, value)
        day = date.fromisoformat(line.trade_date)
        self._sheet.write_datetime(self._row, 7, day, self._day)
        for column, names in enumerate((line.blocked_by, line.warned_by), 8):
            self._sheet.write_string(self._row, column, join_names(names))

    def _write_number(self, column: int, value: int | Decimal) -> None:
        text = plain(Decimal(value))
        if len(text.replace(".", "").lstrip("0")) > DIGITS:
            self._sheet.write_string(self._row, column, text)
            return
        form = self._whole if isinstance(value, int) else self._fraction
        self._sheet.write_number(self._row, column, Decimal(text), form)
