"""Data frames of several libraries, made from columns; none of the libraries is required."""

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

import numpy as np

from optimization.errors import FrameError
from optimization.presentation.columns import TEXT, Cell, Columns

KINDS: Final = ("pandas", "polars", "pyarrow")


def make_frame(columns: Columns, kind: str | None = None) -> Any:
    """Make a frame of a kind, or of the first library that is installed.

    >>> make_frame({"security": ["VTI"], "quantity": [4]}, "dict")
    {'security': ['VTI'], 'quantity': [4]}
    """
    if kind == "dict":
        return columns
    chosen = next(filter(find_spec, KINDS), None) if kind is None else kind
    make = _MAKERS.get(str(chosen))
    if make is None:
        raise FrameError(
            f"no kind of frame {kind!r}: use {', '.join(map(repr, KINDS))} or 'dict'"
            if kind
            else "no library of data frames is installed: pip install pandas, or use kind='dict'"
        )
    try:
        return make(import_module(str(chosen)), columns)
    except ModuleNotFoundError:
        raise FrameError(f"{chosen} is not installed: pip install {chosen}") from None


def _is_whole(values: list[Cell]) -> bool:
    # An empty column has floats, because nothing shows that its numbers are whole.
    return bool(values) and all(type(value) is int for value in values)


def _make_pandas(pandas: Any, columns: Columns) -> Any:
    def series(name: str, values: list[Cell]) -> Any:
        if name in TEXT:
            return pandas.Series(values, dtype="str")
        if _is_whole(values):
            return np.array(values, dtype=np.int64)
        # NaN, because None would make the column one of objects.
        return np.array([np.nan if value is None else value for value in values], dtype=float)

    return pandas.DataFrame({name: series(name, values) for name, values in columns.items()})


def _make_polars(polars: Any, columns: Columns) -> Any:
    def series(name: str, values: list[Cell]) -> Any:
        number = polars.Int64 if _is_whole(values) else polars.Float64
        if name not in TEXT and number is polars.Float64:
            values = [None if value is None else float(value) for value in values]
        return polars.Series(name, values, dtype=polars.String if name in TEXT else number)

    return polars.DataFrame([series(name, values) for name, values in columns.items()])


def _make_pyarrow(pyarrow: Any, columns: Columns) -> Any:
    def array(name: str, values: list[Cell]) -> Any:
        number = pyarrow.int64() if _is_whole(values) else pyarrow.float64()
        return pyarrow.array(values, type=pyarrow.string() if name in TEXT else number)

    return pyarrow.table({name: array(name, values) for name, values in columns.items()})


_MAKERS: Final[Mapping[str, Callable[[Any, Columns], Any]]] = {
    "pandas": _make_pandas,
    "polars": _make_polars,
    "pyarrow": _make_pyarrow,
}
