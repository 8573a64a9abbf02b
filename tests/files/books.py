"""Files for the tests: a good set of three tables, and the ways to write one as a file."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pyarrow as pa
import xlsxwriter
from pyarrow import parquet

from serve_app.files.readers import read_tables
from serve_app.files.request import GivenRequest, build_request

Rows = Sequence[Sequence[Any]]
Files = Mapping[str, bytes]

HOLDINGS: Rows = (
    ("portfolio", "security", "quantity"),
    ("A1", "VTI", 100),
    ("A1", "CASH", "2500.50"),
    ("A2", "BND", "20.5"),
    ("A2", "CASH", 900),
)
PRICES: Rows = (("security", "price"), ("VTI", "201.50"), ("BND", "72.25"))
MODEL: Rows = (
    ("security", "target", "band"),
    ("VTI", "60%", "5%"),
    ("BND", "1/3", "5%"),
)
SHEETS: Mapping[str, Rows] = {"Holdings": HOLDINGS, "Prices": PRICES, "Model": MODEL}


def csv_of(rows: Rows, delimiter: str = ",", encoding: str = "utf-8") -> bytes:
    """Write rows as they are, without any quoting."""
    return "".join(f"{delimiter.join(map(str, row))}\r\n" for row in rows).encode(encoding)


def files_of(**changed: bytes) -> Files:
    """Make a good set of CSV files, with some replaced."""
    good = {"holdings": csv_of(HOLDINGS), "prices": csv_of(PRICES), "model": csv_of(MODEL)}
    return {f"{name}.csv": data for name, data in {**good, **changed}.items()}


def workbook_of(sheets: Mapping[str, Rows] = SHEETS, /, **changed: Rows) -> bytes:
    """Write a workbook of typed cells; a text that begins with = is a formula of no value."""
    sink = BytesIO()
    with xlsxwriter.Workbook(sink) as book:
        for name, rows in {**sheets, **changed}.items():
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                for column, value in enumerate(row):
                    sheet.write(number, column, value)
    return sink.getvalue()


def edit_workbook(data: bytes, member: str, old: str, new: str) -> bytes:
    """Replace a piece of XML in a workbook."""
    sink = BytesIO()
    with ZipFile(BytesIO(data)) as source, ZipFile(sink, "w", ZIP_DEFLATED) as target:
        for name in source.namelist():
            text = source.read(name)
            if name == member:
                assert old.encode() in text, text.decode()[:3000]
                text = text.replace(old.encode(), new.encode(), 1)
            target.writestr(name, text)
    return sink.getvalue()


def parquet_of(**columns: Any) -> bytes:
    """Write columns as a Parquet file."""
    sink = BytesIO()
    parquet.write_table(pa.table(columns), sink)
    return sink.getvalue()


def request_of(files: Files) -> GivenRequest:
    """Read files as the command does."""
    tables = [table for name, data in files.items() for table in read_tables(name, data)]
    return build_request(tables)
