"""Faults: what is wrong in the cells of a frame, all of it at once."""

from dataclasses import dataclass, field

from optimization.errors import FrameError, format_value

MAX_FAULTS = 20


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
        """Note a fault of a cell; rows count from 0, as in the frame."""
        self.lines.append(f"row {row} of {self.name}, {column} is {format_value(value)}: {rule}")

    def add_column(self, column: str, rule: str) -> None:
        """Note a fault of a whole column."""
        self.lines.append(f"{self.name}, column {column!r}: {rule}")

    def raise_if_any(self) -> None:
        """Raise FrameError with up to MAX_FAULTS of the faults."""
        if self.lines:
            more = len(self.lines) - MAX_FAULTS
            rest = [f"and {more:,} more"] if more > 0 else []
            raise FrameError("\n".join((*self.lines[:MAX_FAULTS], *rest)))
