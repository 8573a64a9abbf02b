"""Faults of files, each with its place, and the refusal that lists them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from optimization.errors import shorten

MAX_FAULTS: Final = 100


@dataclass(frozen=True, slots=True)
class Place:
    """A cell of a file, or as much of its address as is known.

    Rows are counted as a spreadsheet program shows them; those of a Parquet file from 1.

    >>> print(Place("book.xlsx", "Prices", 4, "Close"))
    book.xlsx, sheet 'Prices', row 4, column 'Close'
    """

    file: str
    sheet: str | None = None
    row: int | None = None
    column: str | None = None

    def __str__(self) -> str:
        parts = [self.file]
        if self.sheet is not None:
            parts.append(f"sheet '{self.sheet}'")
        if self.row is not None:
            parts.append(f"row {self.row:,}")
        if self.column is not None:
            parts.append(f"column '{self.column}'")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Fault:
    """A broken rule, with the place and the value that breaks it.

    >>> print(Fault(Place("prices.csv", row=3, column="price"), "n/a", "a price is a number"))
    prices.csv, row 3, column 'price': 'n/a': a price is a number
    """

    place: Place
    value: str | None
    rule: str

    def __str__(self) -> str:
        value = "" if self.value is None else f": '{shorten(self.value)}'"
        return f"{self.place}{value}: {self.rule}"

    @property
    def members(self) -> dict[str, Any]:
        """The fault as plain data, without what is unknown."""
        members = {
            "file": self.place.file,
            "sheet": self.place.sheet,
            "row": self.place.row,
            "column": self.place.column,
            "value": None if self.value is None else shorten(self.value),
            "detail": self.rule,
        }
        return {name: value for name, value in members.items() if value is not None}


class FilesRefusedError(Exception):
    """Files break rules; ``faults`` are the first hundred, ``omitted`` counts the others.

    >>> print(FilesRefusedError((Fault(Place("a.csv"), None, "the file is empty"),)))
    a.csv: the file is empty
    """

    def __init__(self, faults: Sequence[Fault], omitted: int = 0) -> None:
        super().__init__(tuple(faults), omitted)
        self.faults = tuple(faults)
        self.omitted = omitted

    def __str__(self) -> str:
        first, *others = self.faults
        more = len(others) + self.omitted
        return f"{first} (and {more:,} more)" if more else str(first)


@dataclass(slots=True)
class Faults:
    """Collector of faults, because a refusal reports all of them at once."""

    entries: list[Fault] = field(default_factory=list[Fault])
    omitted: int = 0

    def add(self, place: Place, value: str | None, rule: str) -> None:
        """Note a fault; beyond a hundred, only count it."""
        if len(self.entries) < MAX_FAULTS:
            self.entries.append(Fault(place, value, rule))
        else:
            self.omitted += 1

    def require_none(self) -> None:
        """Raise FilesRefusedError if there is a fault."""
        if self.entries:
            raise FilesRefusedError(self.entries, self.omitted)


def refuse(place: Place, rule: str, value: str | None = None) -> FilesRefusedError:
    """Build the refusal of a single fault."""
    return FilesRefusedError((Fault(place, value, rule),))
