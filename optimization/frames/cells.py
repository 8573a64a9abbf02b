"""Cells of a frame, read by field: ids, numbers and weights; faults are collected, not raised."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

from optimization.column_names import find_columns
from optimization.domain.numbers import Weight, read_decimal, read_weight
from optimization.domain.rules import IDENTIFIER_RULE, is_identifier
from optimization.errors import FrameError, RuleError, format_value
from optimization.frames.frame_columns import FrameColumns, is_missing

MAX_FAULTS = 20
Read = TypeVar("Read")


@dataclass(slots=True)
class Faults:
    """Faults of a frame, each with its row, column, value and rule.

    >>> faults = Faults("holdings")
    >>> faults.add(3, "quantity", "many", "a number")
    >>> faults.raise_if_any()
    Traceback (most recent call last):
    optimization.errors.FrameError: row 3 of holdings, quantity is 'many': a number
    """

    name: str
    lines: list[str] = field(default_factory=list[str])

    def add(self, row: int, column: str, value: object, rule: str) -> None:
        """Record a fault of a cell; rows count from 0, as in the frame."""
        self.lines.append(f"row {row} of {self.name}, {column} is {format_value(value)}: {rule}")

    def add_column(self, column: str, rule: str) -> None:
        """Record a fault of a whole column."""
        self.lines.append(f"{self.name}, column {column!r}: {rule}")

    def raise_if_any(self) -> None:
        """Raise FrameError with up to MAX_FAULTS of the faults."""
        if self.lines:
            more = len(self.lines) - MAX_FAULTS
            rest = [f"and {more:,} more"] if more > 0 else []
            raise FrameError("\n".join((*self.lines[:MAX_FAULTS], *rest)))


@dataclass(slots=True)
class Cells:
    """Rows of a frame with the places of its fields.

    >>> frame = FrameColumns.read({"Ticker": ["VTI"], "Shares": ["4.5"]}, "holdings")
    >>> cells = Cells.from_columns(frame, ("security", "quantity"))
    >>> cells.read_identifier(0, "security"), cells.read_number(0, "quantity")
    ('VTI', Decimal('4.5'))
    """

    frame: FrameColumns
    places: dict[str, int]
    faults: Faults = field(init=False)

    def __post_init__(self) -> None:
        self.faults = Faults(self.frame.name)

    @classmethod
    def from_columns(
        cls, frame: FrameColumns, required: tuple[str, ...], optional: tuple[str, ...] = ()
    ) -> "Cells":
        """Find the columns of fields; ColumnsError if one is missing or ambiguous."""
        return cls(frame, find_columns(frame.headers, required, optional))

    def has(self, name: str) -> bool:
        """Whether the frame has a column for a field."""
        return name in self.places

    def is_empty(self, row: int, name: str) -> bool:
        """Whether a row has no value for a field."""
        return name not in self.places or is_missing(self.frame.values[self.places[name]][row])

    def read_identifier(self, row: int, name: str) -> str | None:
        """Read the id of a portfolio or security; None after a fault. Integers count as text."""
        value = self.frame.values[self.places[name]][row]
        # Integers too, because account numbers arrive as such; but True is not an id.
        whole = isinstance(value, int) and not isinstance(value, bool)
        text = str(value) if whole else value
        if isinstance(text, str) and is_identifier(text.strip()):
            return text.strip()
        self.faults.add(row, self.frame.headers[self.places[name]], value, IDENTIFIER_RULE)
        return None

    def read_number(self, row: int, name: str) -> Decimal | None:
        """Read the number of a field; None after a fault."""
        return self.read_cell(row, self.places[name], read_decimal)

    def read_weight(self, row: int, name: str) -> Weight | None:
        """Read the weight of a field; None after a fault."""
        return self.read_cell(row, self.places[name], read_weight)

    def read_cell(
        self, row: int, place: int, read: Callable[[Any, tuple[str, ...]], Read]
    ) -> Read | None:
        """Read the value of a cell; None after a fault."""
        header, value = self.frame.headers[place], self.frame.values[place][row]
        try:
            return read(value, (header,))
        except RuleError as error:
            self.faults.add(row, header, value, error.rule)
            return None
