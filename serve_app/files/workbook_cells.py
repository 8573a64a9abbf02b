"""Cells of a sheet in Office Open XML, each as a person sees it.

The file is read here and not by a library, because a library shows either formulas or their stored
values, drops merged ranges when it streams, and takes the 0 that programs store for a formula which
they cannot compute.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import IO, Final
from xml.parsers import expat

from serve_app.files.numbers import parse_currency
from serve_app.files.table import Cell, Number, Unreadable

MAX_DIGITS: Final = 15  # of a number in a spreadsheet; further digits of a float are noise
READ_BYTES: Final = 1 << 16
_SPREADSHEET_PRECISION: Final = Context(prec=MAX_DIGITS)
_REFERENCE: Final = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
_QUOTED: Final = re.compile(r'"[^"]*"|\\.|_.|\*.')
_BRACKETS: Final = re.compile(r"\[[^\]]*\]")
_ELAPSED: Final = re.compile(r"\[(h+|m+|s+)\]", re.IGNORECASE)
_MONEY: Final = re.compile(r"\[\$([^-\]]+)(?:-[^\]]*)?\]|([$€£¥₹])")
_ZEROS: Final = re.compile(r"0{2,}")
_PERCENTS: Final = frozenset({9, 10})
_DATES: Final = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})

IS_DATE: Final = "the cell is a date: give it the format of a number or a text, and its value again"
IS_BOOLEAN: Final = "the cell is TRUE or FALSE: give it the format of a text, and its value again"
IS_ERROR: Final = "the cell shows an error"
NOT_STORED: Final = (
    "the value of the formula is not stored: open the file in a spreadsheet program and save it"
)
IS_MERGED: Final = "the cell is part of the merged cells {area}: unmerge them and fill each cell"


@dataclass(frozen=True, slots=True)
class CellFormat:
    """Meaning that the format of a cell gives to its number."""

    is_date: bool = False
    is_percent: bool = False
    currency: str = ""
    width: int = 0  # number of digits, if the format is zeros alone

    @classmethod
    def parse(cls, number: int, code: str | None) -> "CellFormat":
        """Read a number format: a built-in format without a code, or a code.

        >>> CellFormat.parse(164, "[$€-407] #,##0.00").currency
        'EUR'
        >>> CellFormat.parse(165, "d.m.yy").is_date
        True
        """
        if code is None:
            return cls(number in _DATES, number in _PERCENTS)
        bare = _BRACKETS.sub("", _QUOTED.sub("", code)).replace("General", "").casefold()
        money = _MONEY.search(code)
        sign = (money[1] or money[2] or "").strip() if money else ""
        return cls(
            is_date=bool(_ELAPSED.search(code)) or any(letter in bare for letter in "dmyhs"),
            is_percent="%" in bare,
            currency=parse_currency(sign),
            width=len(code) if _ZEROS.fullmatch(code) else 0,
        )


PLAIN: Final = CellFormat()


@dataclass(frozen=True, slots=True)
class BookParts:
    """Parts of a workbook that its cells refer to."""

    texts: Sequence[str]
    formats: Sequence[CellFormat]
    are_formulas_stale: bool


class TooManyCellsError(Exception):
    """A sheet has more cells than a table may have."""


@dataclass(slots=True)
class SheetCells:
    """Cells of a sheet by row and column, as they are parsed."""

    parts: BookParts
    max_cells: int
    rows: dict[int, dict[int, Cell]] = field(default_factory=dict[int, dict[int, Cell]])
    width: int = 0
    _count: int = 0
    _row: int = 0
    _column: int = -1
    _attributes: dict[str, str] = field(default_factory=dict[str, str])
    _value: str | None = None
    _formula: str | None = None
    _texts: list[str] = field(default_factory=list[str])
    _merged: list[str] = field(default_factory=list[str])

    def read(self, stream: IO[bytes]) -> None:
        """Read the XML of the sheet."""
        parse_xml(stream, self._start, self._end, self._texts.append)
        for area in self._merged:
            self._mark_merged(area)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "row":
            self._row = int(attributes.get("r", self._row + 1))
            self._column = -1
        elif name == "c":
            self._attributes, self._value, self._formula = attributes, None, None
            self._column = _parse_column(attributes.get("r"), self._column + 1)
        elif name == "mergeCell":
            self._merged.append(attributes.get("ref", ""))
        if name in ("v", "f", "t"):
            self._texts.clear()

    def _end(self, name: str) -> None:
        if name == "v":
            self._value = "".join(self._texts)
        elif name == "t":
            self._value = (self._value or "") + "".join(self._texts)
        elif name == "f":
            self._formula = "".join(self._texts)
        elif name == "c":
            cell = self._build_cell()
            if cell is not None:
                self._add(cell)

    def _add(self, cell: Cell) -> None:
        self._count += 1
        if self._count > self.max_cells:
            raise TooManyCellsError
        self.rows.setdefault(self._row, {})[self._column] = cell
        self.width = max(self.width, self._column + 1)

    def _build_cell(self) -> Cell:
        value, formula = self._value, self._formula
        if formula is not None and (value is None or self.parts.are_formulas_stale):
            return Unreadable(f"={formula}", NOT_STORED)
        if value is None:
            return None
        match self._attributes.get("t", "n"):
            case "s":
                return self.parts.texts[int(value)].strip() or None
            case "str" | "inlineStr":
                return value.strip() or None
            case "n":
                return self._read_number(value)
            case "b":
                return Unreadable("TRUE" if value == "1" else "FALSE", IS_BOOLEAN)
            case "d":
                return Unreadable(value, IS_DATE)
            case _:
                return Unreadable(value, IS_ERROR)

    def _read_number(self, text: str) -> Cell:
        if not text:
            return None
        style = int(self._attributes.get("s", 0))
        form = self.parts.formats[style] if style < len(self.parts.formats) else PLAIN
        value = read_shortest(text)
        if form.is_date:
            return Unreadable(f"{value:f}", IS_DATE)
        if form.is_percent or form.currency or form.width:
            return Number(value, form.is_percent, form.currency, form.width)
        return value

    def _mark_merged(self, area: str) -> None:
        """Mark the cells that a merged range hides; rows without any cell stay blank."""
        first, _, last = area.partition(":")
        begin, end = _REFERENCE.fullmatch(first), _REFERENCE.fullmatch(last)
        if begin is None or end is None:
            return
        left, right = _parse_column(first, 0), min(_parse_column(last, 0), self.width - 1)
        top, bottom = int(begin[2]), int(end[2])
        hidden = Unreadable("", IS_MERGED.format(area=area))
        for number, cells in self.rows.items():
            if top <= number <= bottom:
                columns = range(left, right + 1)
                cells.update(
                    {column: hidden for column in columns if (number, column) != (top, left)}
                )


def read_shortest(text: str) -> Decimal:
    """Read a stored number by the digits that a spreadsheet shows at most.

    >>> read_shortest("0.10000000000000001"), read_shortest("0.32999999999999996")
    (Decimal('0.1'), Decimal('0.33'))
    >>> read_shortest("1E3")
    Decimal('1000')
    """
    value = Decimal(repr(float(text)))
    if len(value.as_tuple().digits) > MAX_DIGITS:
        value = _SPREADSHEET_PRECISION.plus(value).normalize(_SPREADSHEET_PRECISION)
    whole = value == value.to_integral_value()
    return value.quantize(Decimal(1)) if whole and value.adjusted() < MAX_DIGITS else value


def parse_xml(
    stream: IO[bytes],
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None] | None = None,
    text: Callable[[str], None] | None = None,
) -> None:
    """Parse XML, with names stripped of namespaces; raise ExpatError, also for a DTD."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True

    def start_element(name: str, attributes: dict[str, str]) -> None:
        start(
            _strip_namespace(name),
            {_strip_namespace(attribute): value for attribute, value in attributes.items()},
        )

    def end_element(name: str) -> None:
        if end is not None:
            end(_strip_namespace(name))

    parser.StartElementHandler = start_element
    parser.EndElementHandler = end_element
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = _refuse_dtd
    while part := stream.read(READ_BYTES):
        parser.Parse(part, False)
    parser.Parse(b"", True)


def _refuse_dtd(*_: object) -> None:
    raise expat.ExpatError("a DTD, which workbooks do not have")


def _strip_namespace(name: str) -> str:
    return name.rpartition(" ")[2]


def _parse_column(reference: str | None, default: int) -> int:
    match = _REFERENCE.fullmatch(reference or "")
    if match is None:
        return default
    column = 0
    for letter in match[1]:
        column = column * 26 + ord(letter) - ord("A") + 1
    return column - 1
