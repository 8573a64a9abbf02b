"""Reader of tables, which knows the format of a file by its content and not by its name."""

from typing import Final

from serve_app.files.delimited_text import read_delimited_text
from serve_app.files.faults import Place, refuse
from serve_app.files.parquet_table import read_parquet
from serve_app.files.table import Table
from serve_app.files.workbook import read_workbook

MAX_INFLATED_BYTES: Final = 500_000_000
ZIP: Final = b"PK\x03\x04"
PARQUET: Final = b"PAR1"
OLD_WORKBOOK: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
PDF: Final = b"%PDF"
OLD: Final = "an .xls file or one with a password cannot be read: save it as .xlsx without one"
NO_TABLE: Final = "the file is no table: give CSV, XLSX, Parquet or JSON"


def is_json(data: bytes) -> bool:
    """Whether a file is a JSON object, as the body of POST /optimize is.

    >>> is_json(b' {"model": {}}'), is_json(b"portfolio,security")
    (True, False)
    """
    return data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"


def read_tables(
    file: str,
    data: bytes,
    role: str | None = None,
    max_inflated_bytes: int = MAX_INFLATED_BYTES,
) -> list[Table]:
    """Read the tables of a file; raise FilesRefusedError with the place of each fault.

    ``role`` is the role that the caller gave the file, if any; the sheets of a workbook show
    theirs by their names.
    """
    if data.startswith(ZIP):
        return read_workbook(file, data, role, max_inflated_bytes)
    if data.startswith(PARQUET):
        return [read_parquet(file, data, role, max_inflated_bytes)]
    if data.startswith(OLD_WORKBOOK):
        raise refuse(Place(file), OLD)
    if data.startswith(PDF):
        raise refuse(Place(file), NO_TABLE)
    return [read_delimited_text(file, data, role)]
