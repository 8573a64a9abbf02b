"""FrameColumns: headers and values of a data frame, whatever library made it.

pandas, polars and pyarrow are read by their own methods, a mapping of lists as it is, and any other
table through the Arrow PyCapsule interface (``__arrow_c_stream__``). None of the libraries is
required: whoever has a frame has its library.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, Self, TypeAlias

from optimization.errors import FrameError

# Shorter floats keep their type until their digits are read, because 0.1 in 32 bits would otherwise
# become the Python float 0.10000000149011612.
SHORT_FLOATS: Final = frozenset({"float16", "float32", "halffloat", "float"})
IndexHeader: TypeAlias = Callable[[Sequence[object]], str]
WHAT_IS_READ: Final = (
    "give a pandas, polars or pyarrow table, any table with the Arrow PyCapsule interface, or a "
    "mapping of columns"
)


@dataclass(frozen=True, slots=True)
class FrameColumns:
    """Columns of a frame: headers, and a list of values each; ``kind`` is its library.

    >>> columns = FrameColumns.read({"security": ["VTI"], "quantity": [4]}, "holdings")
    >>> columns.headers, columns.values, columns.kind
    (('security', 'quantity'), (['VTI'], [4]), 'dict')
    """

    name: str  # name of the argument, for messages
    kind: str
    headers: tuple[str, ...]
    values: tuple[list[Any], ...]

    @classmethod
    def read(cls, frame: Any, name: str, index_header: IndexHeader = lambda _: "security") -> Self:
        """Read a frame; ``index_header`` names an index of texts without a name, from the headers.

        Raises FrameError for anything else.
        """
        # The module's name decides, because isinstance would need libraries that may be missing.
        library = type(frame).__module__.partition(".")[0]
        if library == "pandas" and hasattr(frame, "columns"):
            headers, values = _read_pandas(frame, index_header)
        elif library == "polars" and hasattr(frame, "get_columns"):
            headers = [*frame.columns]
            values = [
                _read_series(column, str(column.dtype).lower()) for column in frame.get_columns()
            ]
        elif library == "pyarrow" and hasattr(frame, "column_names"):
            headers = [*frame.column_names]
            values = [_read_series(column, str(column.type)) for column in frame.columns]
        elif hasattr(frame, "collect"):
            # Refused, because reading a lazy frame would run its whole query.
            raise FrameError(f"{name} is a {type(frame).__name__}: call collect() first")
        elif hasattr(frame, "__arrow_c_stream__"):
            return cls.read(_import_stream(frame, name), name)
        elif isinstance(frame, Mapping):
            library, headers = "dict", [*frame]
            values = [_read_list(frame[header], name, header) for header in headers]
        else:
            raise FrameError(f"{name} is a {type(frame).__name__}: {WHAT_IS_READ}")
        return cls(name, library, tuple(str(header) for header in headers), tuple(values))

    def __len__(self) -> int:
        return len(self.values[0]) if self.values else 0


def is_missing(value: Any) -> bool:
    """Whether a cell is empty: None, NaN, or the NA of pandas.

    >>> is_missing(float("nan")), is_missing(0)
    (True, False)
    """
    # The type's name decides, because pandas may be missing.
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return True
    return bool(isinstance(value, float) and value != value)


def has_columns(mapping: Mapping[Any, Any]) -> bool:
    """Whether a mapping has lists as values, not single numbers.

    >>> has_columns({"security": ["VTI"]}), has_columns({"VTI": 4}), has_columns({"VTI": "4.5"})
    (True, False, False)
    """
    return any(
        hasattr(value, "__iter__") and not isinstance(value, str) for value in mapping.values()
    )


def is_series(value: Any) -> bool:
    """Whether a value is a pandas Series, which maps its index to its values."""
    return type(value).__module__.partition(".")[0] == "pandas" and hasattr(value, "to_frame")


def read_pairs(series: Any, name: str) -> dict[str, Any]:
    """Read a pandas Series as a mapping from its index; empty cells are left out.

    Raises FrameError for a duplicate key in the index, because one of its values would be lost.
    """
    if not series.index.is_unique:
        twice = series.index[series.index.duplicated()][0]
        rule = f"add them up, as in {name}.groupby(level=0).sum(), or drop one"
        raise FrameError(f"{name} has {twice!r} twice in its index: {rule}")
    values = _read_series(series, str(series.dtype).lower())
    pairs = zip(series.index.tolist(), values, strict=True)
    return {str(key): value for key, value in pairs if not is_missing(value)}


def _read_pandas(frame: Any, index_header: IndexHeader) -> tuple[list[Any], list[list[Any]]]:
    headers, places = [*frame.columns], range(len(frame.columns))
    # Columns are read by place, because two of them may have the same header.
    columns = [frame.iloc[:, place] for place in places]
    values = [_read_series(column, str(column.dtype).lower()) for column in columns]
    levels = [frame.index.get_level_values(level) for level in range(frame.index.nlevels)]
    for level in reversed(levels):
        # Skipped otherwise, because an unnamed index of numbers or dates only counts the rows.
        if level.dtype.kind != "M" and (level.name is not None or level.dtype.kind not in "iufb"):
            headers.insert(0, index_header(headers) if level.name is None else level.name)
            values.insert(0, level.tolist())
    return headers, values


def _read_series(series: Any, dtype: str) -> list[Any]:
    """Read the values of a column of any library."""
    if dtype in SHORT_FLOATS:
        return [*series.to_numpy()]
    for method in ("to_pylist", "to_list"):
        if hasattr(series, method):
            return getattr(series, method)()
    return series.tolist()


def _read_list(values: Any, name: str, header: object) -> list[Any]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise FrameError(f"{name}, column {header!r} is {values!r}: a column is a list of values")
    return [*values]


def _import_stream(frame: Any, name: str) -> Any:
    """Import a table by the Arrow PyCapsule interface, with a library that is installed."""
    if find_spec("pyarrow"):
        return import_module("pyarrow").table(frame)
    if find_spec("polars"):
        return import_module("polars").DataFrame(frame)
    raise FrameError(f"{name} is an Arrow stream: pip install pyarrow or polars to read it")
