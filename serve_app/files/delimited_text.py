"""Reader of delimited text: comma, semicolon, tab or bar; UTF-8 or UTF-16."""

import csv
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Sequence
from io import StringIO
from typing import Final

from optimization import find_field
from serve_app.files.faults import Faults, Place, refuse
from serve_app.files.table import Cell, Row, Table, Unreadable, format_column

DELIMITERS: Final = (",", ";", "\t", "|")
MAX_CELLS: Final = 5_000_000  # about 500 MB as objects
UTF_16: Final = {BOM_UTF16_LE: "utf-16-le", BOM_UTF16_BE: "utf-16-be"}
SAVE_AS_UTF_8: Final = "save the file as UTF-8 (in Excel: 'CSV UTF-8')"


def read_delimited_text(file: str, data: bytes, role: str | None = None) -> Table:
    """Read a table whose first non-blank row is the header; raise FilesRefusedError."""
    delimiter, records = _split_records(file, _decode(file, data))
    faults = Faults()
    headers: tuple[str, ...] = ()
    header_row, rows, cells = None, list[Row](), 0
    for number, record in records:
        stripped = [text.strip() for text in record]
        if not any(stripped):
            continue
        if header_row is None:
            header_row, headers = number, _read_headers(file, number, stripped, faults)
            continue
        cells += len(headers)
        if cells > MAX_CELLS:
            raise refuse(Place(file, row=number), f"a table has at most {MAX_CELLS:,} cells")
        row = _build_row(file, number, headers, stripped, delimiter, faults)
        if row is not None:
            rows.append(row)
    faults.require_none()
    if header_row is None:
        raise refuse(Place(file), "the file is empty")
    return Table(file, None, header_row, headers, rows, delimiter, role)


def _decode(file: str, data: bytes) -> str:
    """Decode a text; bytes that are no UTF-8 stay visible as surrogates in their cells."""
    for mark, encoding in UTF_16.items():
        if data.startswith(mark):
            return _decode_utf_16(file, data.removeprefix(mark), encoding)
    data = data.removeprefix(BOM_UTF8)
    if b"\0" in data:
        row = data[: data.index(b"\0")].count(b"\n") + 1
        rule = f"the text has a zero byte, as UTF-16 without a byte order mark has: {SAVE_AS_UTF_8}"
        raise refuse(Place(file, row=row), rule)
    return data.decode("utf-8", "surrogateescape")


def _decode_utf_16(file: str, data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        row = data[: error.start].decode(encoding, "ignore").count("\n") + 1
        raise refuse(Place(file, row=row), f"this is no UTF-16: {SAVE_AS_UTF_8}") from error


def _split_records(file: str, text: str) -> tuple[str, Iterator[tuple[int, list[str]]]]:
    """Return the delimiter and the numbered records, blank records included."""
    first, _, rest = text.partition("\n")
    announcement = first.strip().strip('"')
    if announcement.lower().startswith("sep=") and len(announcement) == 5:  # written by Excel
        return announcement[4], _iterate_records(file, rest, announcement[4], 2)
    delimiter = _find_delimiter(text)
    return delimiter, _iterate_records(file, text, delimiter, 1)


def _iterate_records(
    file: str, text: str, delimiter: str, first: int
) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = first - 1
    try:
        for number, record in enumerate(reader, first):
            yield number, record
    except csv.Error as error:
        place = Place(file, row=number + 1)
        raise refuse(place, f"the row is no delimited text: {error}") from error


def _find_delimiter(text: str) -> str:
    """Find the delimiter that splits the first row into most usual names, then most cells."""
    line = next((line for line in text.splitlines() if line.strip()), "")

    def rank(delimiter: str) -> tuple[int, int]:
        try:
            (headers,) = csv.reader([line], delimiter=delimiter)
        except (csv.Error, ValueError):
            return (0, 0)
        return sum(find_field(header) is not None for header in headers), len(headers)

    return max(DELIMITERS, key=rank)


def _read_headers(file: str, number: int, texts: Sequence[str], faults: Faults) -> tuple[str, ...]:
    for column, text in enumerate(texts):
        if isinstance(bad := _read_cell(text), Unreadable):
            faults.add(Place(file, row=number, column=format_column(column)), bad.text, bad.rule)
    return tuple(texts)


def _build_row(
    file: str,
    number: int,
    headers: Sequence[str],
    texts: list[str],
    delimiter: str,
    faults: Faults,
) -> Row | None:
    while len(texts) > len(headers) and not texts[-1]:
        texts.pop()
    if len(texts) != len(headers):
        rule = f"the row has {len(texts)} values and the header has {len(headers)}"
        if len(texts) > len(headers):
            name = "comma" if delimiter == "," else f"'{delimiter}'"
            rule += f": a value with a {name} must be quoted"
        faults.add(Place(file, row=number), None, rule)
        return None
    return Row(number, [_read_cell(text) for text in texts])


def _read_cell(text: str) -> Cell:
    if not text:
        return None
    if text.isascii():
        return text
    for character in text:
        if "\ud800" <= character <= "\udfff":
            shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            byte = ord(character) - 0xDC00
            return Unreadable(shown, f"byte 0x{byte:02X} is no UTF-8: {SAVE_AS_UTF_8}")
    return text
