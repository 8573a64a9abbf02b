"""Output of commands: tables for people, JSON for programs, all else to stderr."""

import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal
from fractions import Fraction
from typing import Any
from unicodedata import category

import orjson
import typer
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

HIDDEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
NUMBERS = frozenset({"int", "float", "Decimal"})


def show_json(value: Any) -> None:
    """Print a value as JSON; decimals are numbers with their own digits."""
    text = orjson.dumps(value, default=_number, option=orjson.OPT_INDENT_2).decode()
    if not text.isascii():  # orjson itself escapes what ASCII has of control characters
        text = "".join(
            _json_escape(each) if each != "\n" and _is_hidden(each) else each for each in text
        )
    typer.echo(text)


def show(table: Table) -> None:
    """Print a table; fold ids and numbers only if the terminal is too narrow for them."""
    console = Console(highlight=False, markup=False, emoji=False)
    unbounded = console.options.update_width(sys.maxsize)
    if Measurement.get(console, unbounded, table).minimum > console.width:
        for column in table.columns:
            column.no_wrap = False
    console.print(table)


def escape_unprintable(text: str) -> str:
    r"""Escape the unprintable characters of a text, because it could steer a terminal.

    >>> escape_unprintable("Growth" + chr(27) + "[2J")
    'Growth\\x1b[2J'
    """
    if text.isprintable():
        return text
    return "".join(ascii(each)[1:-1] if _is_hidden(each) else each for each in text)


def say(text: str) -> None:
    """Print a line for a person on stderr."""
    typer.echo(text, err=True)


def show_spinner(text: str) -> AbstractContextManager[Any]:
    """Show a spinner on a terminal during a long step."""
    return Console(stderr=True).status(text)


def make_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """Make a table with numbers to the right and ids that are not folded."""
    made = Table(title=escape_unprintable(title), title_justify="left")
    rows = [*rows]
    cells = [[_cell(value) for value in row] for row in rows]
    for place, column in enumerate(columns):
        kinds = {type(row[place]).__name__ for row in rows} - {"NoneType"}
        made.add_column(
            column,
            justify="right" if kinds and kinds <= NUMBERS else "left",
            no_wrap=not any(" " in row[place] for row in cells),
            overflow="fold",
        )
    for row in cells:
        made.add_row(*row)
    return made


def _cell(value: Any) -> str:
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


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[place : place + 4]}" for place in range(0, len(units), 4))


def _number(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(f"{value:f}")
    if isinstance(value, Fraction):
        return str(value)
    raise TypeError(type(value).__name__)
