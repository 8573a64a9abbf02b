"""What commands print: tables for people, JSON for programs; everything else goes to stderr."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal
from fractions import Fraction
from typing import Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

NUMBERS = frozenset({"int", "float", "Decimal"})


def show_json(value: Any) -> None:
    """One JSON text; decimals are numbers of their own digits."""
    typer.echo(orjson.dumps(value, default=_number, option=orjson.OPT_INDENT_2))


def show(table: Table) -> None:
    """A table on stdout."""
    Console(highlight=False, markup=False).print(table)


def say(text: str) -> None:
    """A line on stderr, for a person."""
    typer.echo(text, err=True)


def working(text: str) -> AbstractContextManager[Any]:
    """That something takes its time, on a terminal."""
    return Console(stderr=True).status(text)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """A table whose numbers stand to the right."""
    made = Table(title=title, title_justify="left")
    rows = [*rows]
    for place, column in enumerate(columns):
        kinds = {type(row[place]).__name__ for row in rows} - {"NoneType"}
        made.add_column(column, justify="right" if kinds and kinds <= NUMBERS else "left")
    for row in rows:
        made.add_row(*(_cell(value) for value in row))
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
            return str(value)


def _number(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(f"{value:f}")
    if isinstance(value, Fraction):
        return str(value)
    raise TypeError(type(value).__name__)
