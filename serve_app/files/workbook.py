"""Reader of Excel workbooks (.xlsx): a table for each sheet."""

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO
from posixpath import join, normpath
from typing import Final
from xml.parsers.expat import ExpatError
from zipfile import BadZipFile, ZipFile

from serve_app.files.delimited_text import MAX_CELLS
from serve_app.files.faults import Faults, Place, refuse
from serve_app.files.table import Cell, Row, Table, Unreadable, format_cell, format_column
from serve_app.files.workbook_cells import (
    BookParts,
    CellFormat,
    SheetCells,
    TooManyCellsError,
    parse_xml,
)

MAX_MEMBERS: Final = 2_000
BOOK: Final = "xl/workbook.xml"
RELATIONS: Final = "xl/_rels/workbook.xml.rels"
NO_BOOK: Final = "the file is no .xlsx workbook (.xlsb, .ods and archives cannot be read)"
BROKEN: Final = (
    *(BadZipFile, ExpatError, zlib.error, EOFError, KeyError, IndexError, ValueError),
    *(NotImplementedError, RuntimeError),  # unknown compression methods, encrypted members
)


def read_workbook(file: str, data: bytes, role: str | None, max_inflated_bytes: int) -> list[Table]:
    """Read the tables of all sheets; raise FilesRefusedError."""
    sheet: str | None = None
    tables: list[Table] = []
    faults = Faults()
    try:
        with ZipFile(BytesIO(data)) as archive:
            _require_bounded(file, archive, max_inflated_bytes)
            book = _Book(archive)
            for sheet, member in book.sheets():
                cells = SheetCells(book.parts, MAX_CELLS)
                with archive.open(member) as stream:
                    cells.read(stream)
                tables.append(_build_table(file, sheet, cells, role, faults))
    except TooManyCellsError as error:
        raise refuse(Place(file, sheet), f"a sheet has at most {MAX_CELLS:,} cells") from error
    except BROKEN as error:
        raise refuse(Place(file, sheet), f"the workbook cannot be read: {error}") from error
    faults.require_none()
    if not tables:
        raise refuse(Place(file), "the workbook has no sheet of cells")
    # The role of a file is the role of its only sheet; several sheets show theirs by their names.
    return tables if len(tables) == 1 else [replace(table, role=None) for table in tables]


def _require_bounded(file: str, archive: ZipFile, max_inflated_bytes: int) -> None:
    """Refuse an archive that is small only because it is compressed, by its stated sizes."""
    members = archive.infolist()
    if BOOK not in archive.namelist():
        raise refuse(Place(file), NO_BOOK)
    inflated = sum(member.file_size for member in members)
    if inflated > max_inflated_bytes or len(members) > MAX_MEMBERS:
        rule = f"a workbook has at most {max_inflated_bytes:,} bytes once it is inflated"
        raise refuse(Place(file), rule, f"{inflated:,}")


@dataclass(slots=True)
class _Book:
    """Names, texts and formats of a workbook."""

    archive: ZipFile
    parts: BookParts = field(init=False)
    _sheets: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    _is_stale: bool = False

    def __post_init__(self) -> None:
        self._parse(BOOK, self._note_sheet)
        names = set(self.archive.namelist())
        texts = _Texts()
        if "xl/sharedStrings.xml" in names:
            with self.archive.open("xl/sharedStrings.xml") as stream:
                parse_xml(stream, texts.start, texts.end, texts.text)
        formats = _Formats()
        if "xl/styles.xml" in names:
            with self.archive.open("xl/styles.xml") as stream:
                parse_xml(stream, formats.start, formats.end)
        self.parts = BookParts(texts.texts, formats.formats, self._is_stale)

    def sheets(self) -> Iterator[tuple[str, str]]:
        """Yield the name and the member of each sheet of cells, in their order."""
        members: dict[str, str] = {}

        def note(name: str, attributes: Mapping[str, str]) -> None:
            if name == "Relationship" and attributes["Type"].endswith("/worksheet"):
                target = attributes["Target"]
                path = target.lstrip("/") if target.startswith("/") else join("xl", target)
                members[attributes["Id"]] = normpath(path)

        self._parse(RELATIONS, note)
        for name, relation in self._sheets:
            if relation in members:
                yield name, members[relation]

    def _parse(self, member: str, start: Callable[[str, dict[str, str]], None]) -> None:
        with self.archive.open(member) as stream:
            parse_xml(stream, start)

    def _note_sheet(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "sheet":
            self._sheets.append((attributes["name"], attributes["id"]))
        elif name == "calcPr":
            # Programs that cannot compute formulas set this flag, and store a 0 for each of them.
            self._is_stale = attributes.get("fullCalcOnLoad", "0") in ("1", "true")


@dataclass(slots=True)
class _Texts:
    """Shared texts of a workbook, without the readings of Asian characters."""

    texts: list[str] = field(default_factory=list[str])
    _parts: list[str] = field(default_factory=list[str])
    _is_text: bool = False
    _is_phonetic: bool = False

    def start(self, name: str, _: Mapping[str, str]) -> None:
        """Begin an element."""
        if name == "si":
            self._parts.clear()
        self._is_phonetic |= name == "rPh"
        self._is_text = name == "t" and not self._is_phonetic

    def end(self, name: str) -> None:
        """End an element."""
        self._is_text = False
        if name == "si":
            self.texts.append("".join(self._parts))
        elif name == "rPh":
            self._is_phonetic = False

    def text(self, text: str) -> None:
        """Note characters."""
        if self._is_text:
            self._parts.append(text)


@dataclass(slots=True)
class _Formats:
    """Formats of cells, by the number of their style."""

    formats: list[CellFormat] = field(default_factory=list[CellFormat])
    _codes: dict[int, str] = field(default_factory=dict[int, str])
    _is_in_cell_formats: bool = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Begin an element."""
        if name == "numFmt":
            self._codes[int(attributes["numFmtId"])] = attributes["formatCode"]
        elif name == "cellXfs":
            self._is_in_cell_formats = True
        elif name == "xf" and self._is_in_cell_formats:
            number = int(attributes.get("numFmtId", 0))
            self.formats.append(CellFormat.parse(number, self._codes.get(number)))

    def end(self, name: str) -> None:
        """End an element."""
        if name == "cellXfs":
            self._is_in_cell_formats = False


def _build_table(
    file: str, sheet: str, cells: SheetCells, role: str | None, faults: Faults
) -> Table:
    """Build the table of a sheet; its first non-blank row is the header."""
    numbers = sorted(cells.rows)
    if not numbers:
        return Table(file, sheet, None, (), (), None, role)
    header_row, *others = numbers
    headers = [cells.rows[header_row].get(column) for column in range(cells.width)]
    for column, cell in enumerate(headers):
        if isinstance(cell, Unreadable):
            place = Place(file, sheet, header_row, format_column(column))
            faults.add(place, cell.text or None, cell.rule)
    rows = [Row(number, _pad(cells.rows[number], cells.width)) for number in others]
    return Table(file, sheet, header_row, tuple(map(format_cell, headers)), rows, None, role)


def _pad(cells: Mapping[int, Cell], width: int) -> list[Cell]:
    return [cells.get(column) for column in range(width)]
