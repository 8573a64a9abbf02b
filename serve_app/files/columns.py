"""Columns of a table by usual names, and typed values of their cells."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Final

from optimization import (
    EXACT,
    IDENTIFIER_RULE,
    Weight,
    WrittenFraction,
    count_needed_decimals,
    find_columns,
    is_identifier,
)
from optimization.errors import ColumnsError
from serve_app.api.schemas.general_fields import MAX_AMOUNT, MAX_DECIMALS, MAX_WEIGHT_DECIMALS
from serve_app.files.faults import Faults, Place
from serve_app.files.numbers import Mark, WrittenNumber, parse_currency, parse_number
from serve_app.files.table import Cell, Number, Row, Table, Unreadable, format_cell

UNIT: Final = re.compile(r"[(\[]([^()\[\]]*)[)\]]")
PERCENT_HEADER: Final = re.compile(r"%|\b(pct|percent|percentage)\b", re.IGNORECASE)
PLAIN_UNITS: Final = frozenset({"", "%", "shares", "units", "pcs", "pieces", "number", "decimal"})
CURRENCY: Final = re.compile(r"[A-Z]{3}|[$€£¥₹₩]")
SHORTENED_ID: Final = re.compile(r"[0-9](\.[0-9]+)?E\+[0-9]{2,}")
MAX_SHEET_DIGITS: Final = 15


@dataclass(slots=True)
class Currencies:
    """Currency of all amounts; a second currency is a fault, because amounts are added up."""

    faults: Faults
    known: str = ""
    first: Place | None = None

    def note(self, place: Place, currency: str) -> None:
        """Note the currency of an amount."""
        if not self.known:
            self.known, self.first = currency, place
        elif currency != self.known:
            rule = f"all amounts are in one currency, and it is {self.known} in {self.first}"
            self.faults.add(place, currency, rule)


@dataclass
class Columns:
    """Columns of a table, found by usual names; faults of cells go to ``faults``."""

    table: Table
    places: dict[str, int]
    faults: Faults
    currencies: Currencies
    numeric: tuple[int, ...] = ()
    _identifiers: dict[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def find(
        cls,
        table: Table,
        fields: Collection[str],
        optional: Collection[str],
        faults: Faults,
        currencies: Currencies,
    ) -> "Columns | None":
        """Find the columns; note missing or ambiguous columns and return None."""
        try:
            places = find_columns(table.headers, fields, optional)
        except ColumnsError as error:
            for rule in error.rules:
                faults.add(table.header_row_place, None, rule)
            return None
        texts = ("portfolio", "security", "currency")
        numeric = tuple(place for name, place in places.items() if name not in texts)
        return cls(table, places, faults, currencies, numeric)

    def has(self, name: str) -> bool:
        """Whether the table has this column."""
        return name in self.places

    def cell(self, row: Row, name: str) -> Cell:
        """Cell of a row; None if the table has no such column."""
        place = self.places.get(name)
        return None if place is None else row.cells[place]

    def place(self, row: Row, name: str) -> Place:
        """Place of a cell."""
        return self.table.place(row, self.places[name])

    def add_fault(self, row: Row, name: str, rule: str) -> None:
        """Note the fault of a cell."""
        self.faults.add(self.place(row, name), _show(self.cell(row, name)), rule)

    def require_units(self) -> None:
        """Note the currencies of numeric headers; a unit that scales the numbers is a fault."""
        for column in self.numeric:
            place = self.table.header_place(column)
            for unit in UNIT.findall(self.table.headers[column]):
                if CURRENCY.fullmatch(unit.strip()):
                    self.currencies.note(place, parse_currency(unit.strip()))
                elif unit.strip().casefold() not in PLAIN_UNITS:
                    rule = f"the unit '{unit}' is unknown: give plain numbers under a plain header"
                    self.faults.add(place, None, rule)

    def note_currency(self, row: Row) -> None:
        """Note the currency that a column gives for the row."""
        cell = self.cell(row, "currency")
        if cell is not None:
            self.currencies.note(self.place(row, "currency"), format_cell(cell))

    def read_identifier(self, row: Row, name: str) -> str | None:
        """Read an id; note a fault and return None if the cell has none."""
        cell = self.cell(row, name)
        try:
            text = read_identifier(cell)
        except ValueError as error:
            self.add_fault(row, name, str(error))
            return None
        # One object stands for all equal ids, because a book repeats them.
        return self._identifiers.setdefault(text, text)

    def read_amount(self, row: Row, column: int, least: int = -MAX_AMOUNT) -> Decimal | None:
        """Read an amount, a price or a quantity; note a fault and return None without one."""
        cell = row.cells[column]
        try:
            number = self._convert_number(cell)
            if number.is_percent:
                raise ValueError("a plain number is expected here, not a percentage")
            _require_range(number.value, least, MAX_AMOUNT, MAX_DECIMALS)
        except ValueError as error:
            self.faults.add(self.table.place(row, column), _show(cell), str(error))
            return None
        if number.currency:
            self.currencies.note(self.table.place(row, column), number.currency)
        return number.value

    def read_number(self, row: Row, name: str) -> Number:
        """Read a number of any kind and note its currency; raise ValueError without one."""
        number = self._convert_number(self.cell(row, name))
        if number.currency:
            self.currencies.note(self.place(row, name), number.currency)
        return number

    def read_weight(self, row: Row, name: str) -> "Weight | None":
        """Read a weight in parts of 1; note a fault and return None if the cell has none."""
        cell = self.cell(row, name)
        try:
            if isinstance(cell, str) and "/" in cell:
                fraction: Weight = WrittenFraction.parse(cell)
                if not 0 <= fraction <= 1:
                    raise ValueError("a weight is from 0 to 1")
                return fraction
            return self._convert_weight(name, self._convert_number(cell))
        except ValueError as error:
            self.add_fault(row, name, str(error))
            return None

    def is_percent(self, name: str) -> bool:
        """Whether the header says that plain numbers are percentages."""
        return PERCENT_HEADER.search(self.table.headers[self.places[name]]) is not None

    def _convert_weight(self, name: str, number: Number) -> Decimal:
        value = number.value
        if number.currency:
            raise ValueError("a weight is a part or a percentage, not an amount")
        if not number.is_percent and self.is_percent(name):
            value = EXACT.scaleb(value, -2)
        elif value > 1 and not number.is_percent:
            raise ValueError(f"a weight is from 0 to 1: write {value:f}% for a percentage")
        elif not number.is_percent and value and name in self._percent_columns:
            raise ValueError("other cells of the column are written with a percent sign")
        _require_range(value, 0, 1, MAX_WEIGHT_DECIMALS)
        return value

    def _convert_number(self, cell: Cell) -> Number:
        match cell:
            case None:
                raise ValueError("a number is missing")
            case Unreadable():
                raise ValueError(cell.rule)
            case Decimal():
                return Number(cell)
            case Number():
                return cell
            case str():
                return self._parse_text(cell)

    def _parse_text(self, text: str) -> Number:
        written = parse_number(text)
        marks = self._marks
        if len(written.readings) == 2 and not marks and self.table.delimiter == "," and "." in text:
            return written.read(Mark.POINT)  # because the comma separates cells
        return written.read(next(iter(marks)) if len(marks) == 1 else None)

    @cached_property
    def _marks(self) -> set[Mark]:
        """Decimal marks that the numbers of the table show beyond doubt."""
        marks = (number.mark for _, number in self._read_numbers())
        return {mark for mark in marks if mark is not None}

    @cached_property
    def _percent_columns(self) -> set[str]:
        names = {place: name for name, place in self.places.items()}
        signed = {
            names.get(column, "") for column, number in self._read_numbers() if number.is_percent
        }
        typed = {
            name
            for name, place in self.places.items()
            if any(_shows_percent(row.cells[place]) for row in self.table.rows)
        }
        return signed | typed

    def _read_numbers(self) -> Iterable[tuple[int, WrittenNumber]]:
        for row in self.table.rows:
            for column in self.numeric:
                cell = row.cells[column]
                if isinstance(cell, str):
                    try:
                        yield column, parse_number(cell)
                    except ValueError:
                        continue


def _show(cell: Cell) -> str | None:
    return None if cell is None else format_cell(cell)


def _shows_percent(cell: Cell) -> bool:
    return isinstance(cell, Number) and cell.is_percent


def read_identifier(cell: Cell) -> str:
    """Read a cell as an id; raise ValueError with the rule that the cell breaks."""
    match cell:
        case None:
            raise ValueError("an id is missing")
        case Unreadable():
            raise ValueError(cell.rule)
        case Decimal():
            text = _format_digits(cell)
        case Number():
            text = _format_digits(cell.value).zfill(cell.width)
        case str():
            text = cell
    if SHORTENED_ID.fullmatch(text):
        raise ValueError("a spreadsheet shortened this number: store the id as text")
    if not is_identifier(text):
        raise ValueError(IDENTIFIER_RULE)
    return text


def _format_digits(value: Decimal) -> str:
    if value != value.to_integral_value() or value < 0:
        raise ValueError("an id is a text or a whole number")
    text = f"{value.to_integral_value():f}"
    if len(text) > MAX_SHEET_DIGITS:
        raise ValueError("a spreadsheet keeps 15 digits of a number: store the id as text")
    return text


def _require_range(value: Decimal, least: int, most: int, max_decimals: int) -> None:
    if not least <= value <= most:
        raise ValueError(f"the number is from {least:,} to {most:,}")
    if value and (value.adjusted() < -max_decimals or count_needed_decimals(value) > max_decimals):
        raise ValueError(f"a number has at most {max_decimals} decimals here")
