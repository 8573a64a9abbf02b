"""Output of commands: tables for people, JSON for programs, all else to stderr."""

import sys
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any
from unicodedata import category

import orjson
import typer
from rich.cells import cell_len
from rich.console import Console, ConsoleDimensions
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

HIDDEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
NUMBERS = frozenset({"int", "float", "Decimal", "Percent"})
# Columns of names beside ids, left out of a table if the service knows none of the names.
NAME_COLUMNS = frozenset({"name", "ticker"})
BORDER = 3  # characters between two columns of a table
FOLDED_ID = 12  # characters of an id in a line, half of its 24
MAX_PERCENT_DECIMALS = 4  # of a fraction without end, such as 1/3


@dataclass(frozen=True, slots=True)
class Percent:
    """Weight that a table shows as a percentage, with at least two decimals and all it has."""

    weight: Decimal | Fraction

    def __str__(self) -> str:
        if isinstance(self.weight, Fraction):
            return f"{float(self.weight):.{MAX_PERCENT_DECIMALS}%}"
        percent = (self.weight * 100).normalize()
        _, _, exponent = percent.as_tuple()
        decimals = -exponent if isinstance(exponent, int) else 0
        return f"{percent:,.{max(2, decimals)}f}%"


def show_json(value: Any) -> None:
    """Print a value as JSON; decimals are numbers with their own digits."""
    text = orjson.dumps(value, default=_encode_number, option=orjson.OPT_INDENT_2).decode()
    if not text.isascii():  # because orjson itself escapes the control characters of ASCII
        text = "".join(
            _escape_json(character) if character != "\n" and _is_hidden(character) else character
            for character in text
        )
    typer.echo(text)


def show(table: Table, *, wide: bool = False) -> None:
    """Print a table: whole lines to a pipe or if ``wide``, wrapped cells on a terminal.

    On a terminal that is too narrow sentences wrap first, then ids are folded, and numbers last. No
    character is ever left out.
    """
    console = Console(highlight=False, markup=False, emoji=False)
    unbounded = console.options.update_width(sys.maxsize)
    needed = Measurement.get(console, unbounded, table)
    if wide or not console.file.isatty():
        # Both are set, because Rich ignores a width alone on a terminal that it takes for dumb.
        console.size = ConsoleDimensions(needed.maximum, console.height)
    elif needed.minimum > console.width:
        _fold(table, console.width)
    # The title is printed apart, because a table wraps its title, and ids in it, at its width.
    title, table.title = table.title, None
    console.print(title, style="table.title", soft_wrap=True)
    console.print(table, soft_wrap=wide)


def _fold(table: Table, width: int) -> None:
    """Let ids be folded, and numbers too where the width does not hold them beside folded ids."""
    numbers = [column for column in table.columns if column.justify == "right"]
    rest = len(table.columns) - len(numbers)
    needed = sum(map(_measure_column, numbers)) + rest * FOLDED_ID + len(table.columns) * BORDER + 1
    for column in table.columns:
        column.no_wrap = column in numbers and needed <= width


def _measure_column(column: Column) -> int:
    return max(cell_len(str(cell)) for cell in (column.header, *column.cells))


def escape_unprintable(text: str) -> str:
    r"""Escape the unprintable characters of a text, because it could steer a terminal.

    >>> escape_unprintable("Growth" + chr(27) + "[2J")
    'Growth\\x1b[2J'
    """
    if text.isprintable():
        return text
    return "".join(
        ascii(character)[1:-1] if _is_hidden(character) else character for character in text
    )


def say(text: str) -> None:
    """Print a line for a person on stderr."""
    typer.echo(text, err=True)


class Elapsed:
    """Text of a spinner, followed by the seconds since it began; ``text`` may change."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._begin = time.monotonic()

    def __rich__(self) -> Text:
        return Text(f"{self.text} {time.monotonic() - self._begin:.0f} s")


@contextmanager
def show_spinner(text: str) -> Generator[Elapsed]:
    """Show a spinner with the elapsed seconds on a terminal during a long step."""
    shown = Elapsed(text)
    with Console(stderr=True).status(shown):
        yield shown


def make_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """Build a table with numbers aligned right and ids that are not folded."""
    table = Table(title=escape_unprintable(title))
    rows = [*rows]
    nameless = [
        place
        for place, column in enumerate(columns)
        if column in NAME_COLUMNS and rows and all(row[place] is None for row in rows)
    ]
    columns, rows = _leave_out(columns, nameless), [_leave_out(row, nameless) for row in rows]
    cells = [[_format_cell(value) for value in row] for row in rows]
    for place, column in enumerate(columns):
        kinds = {type(row[place]).__name__ for row in rows} - {"NoneType"}
        table.add_column(
            column,
            justify="right" if kinds and kinds <= NUMBERS else "left",
            no_wrap=not any(" " in row[place] for row in cells),
            overflow="fold",
        )
    for row in cells:
        table.add_row(*row)
    return table


def _leave_out(values: Sequence[Any], places: Sequence[int]) -> list[Any]:
    return [value for place, value in enumerate(values) if place not in places]


def _format_cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case Decimal():
            return f"{value:,f}"
        case int() | float():
            return f"{value:,}"
        case _:
            return escape_unprintable(str(value))


def _is_hidden(character: str) -> bool:
    """Return whether a terminal would obey a character instead of printing it."""
    return category(character) in HIDDEN


def _escape_json(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[place : place + 4]}" for place in range(0, len(units), 4))


def _encode_number(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(f"{value:f}")
    if isinstance(value, Fraction):
        return str(value)
    raise TypeError(type(value).__name__)
