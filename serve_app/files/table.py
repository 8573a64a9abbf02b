"""Table and its cells: the neutral form of a CSV file, a sheet or a Parquet file."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple, TypeAlias

from serve_app.files.faults import Place


class Number(NamedTuple):
    """A number with its percent sign, currency and padding; a percentage is in parts of 1.

    ``width`` is the minimum number of digits, padded with leading zeros.
    """

    value: Decimal
    is_percent: bool = False
    currency: str = ""
    width: int = 0


class Unreadable(NamedTuple):
    """A cell without a usable value, which is a fault only where the value is needed."""

    text: str
    rule: str


Cell: TypeAlias = str | Decimal | Number | Unreadable | None
"""A stripped text, a number, or None for a blank cell."""


class Row(NamedTuple):
    """A row with at least one cell that is not blank; ``cells`` has an item for every header."""

    number: int
    cells: Sequence[Cell]


@dataclass(frozen=True, slots=True)
class Table:
    """Headers and rows of a table, as written.

    ``delimiter`` is kept for a text file, because it hints at the decimal mark. ``role`` is the
    role that the caller gave the table, if any: a name of ``roles.ROLES``.
    """

    file: str
    sheet: str | None
    header_row: int | None
    headers: tuple[str, ...]
    rows: Sequence[Row]
    delimiter: str | None = None
    role: str | None = None

    @property
    def header_row_place(self) -> Place:
        """Place of the header row."""
        return Place(self.file, self.sheet, self.header_row)

    def place(self, row: Row, column: int) -> Place:
        """Place of a cell."""
        return Place(self.file, self.sheet, row.number, self._name_column(column))

    def header_place(self, column: int) -> Place:
        """Place of a header."""
        return Place(self.file, self.sheet, self.header_row, self._name_column(column))

    def _name_column(self, column: int) -> str:
        return self.headers[column] or format_column(column)


def format_column(column: int) -> str:
    """Name a column as a spreadsheet does, counted from 0.

    >>> tuple(map(format_column, (0, 25, 26, 701, 702)))
    ('A', 'Z', 'AA', 'ZZ', 'AAA')
    """
    name = ""
    while column >= 0:
        column, place = divmod(column, 26)
        name = chr(ord("A") + place) + name
        column -= 1
    return name


def format_cell(cell: Cell) -> str:
    """Write a cell as a fault shows it."""
    match cell:
        case None:
            return ""
        case str():
            return cell
        case Decimal():
            return f"{cell:f}"
        case Number():
            return f"{cell.value:f}"
        case Unreadable():
            return cell.text
