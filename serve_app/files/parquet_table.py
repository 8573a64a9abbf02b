"""Reader of Parquet files."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from serve_app.files.delimited_text import MAX_CELLS
from serve_app.files.faults import Place, refuse
from serve_app.files.table import Cell, Row, Table, Unreadable


def read_parquet(file: str, data: bytes, role: str | None, max_inflated_bytes: int) -> Table:
    """Read a table; floats are read by their shortest digits. Raise FilesRefusedError."""
    try:
        source = parquet.ParquetFile(pa.BufferReader(data))
        _require_bounded(file, source.metadata, max_inflated_bytes)
        headers = tuple(name.strip() for name in source.schema_arrow.names)
        texts = [field.name for field in source.schema_arrow if pa.types.is_string(field.type)]
        # Texts are read as dictionaries, because repeated texts would otherwise be inflated.
        source = parquet.ParquetFile(pa.BufferReader(data), read_dictionary=texts)
        columns = [_read_cells(column) for column in source.read().columns]
    except pa.ArrowException as error:
        raise refuse(Place(file), f"the file is no readable Parquet: {error}") from error
    rows = [
        Row(number, cells)
        for number, cells in enumerate(zip(*columns, strict=True), 1)
        if any(cell is not None for cell in cells)
    ]
    return Table(file, None, None, headers, rows, None, role)


def _require_bounded(file: str, metadata: Any, max_inflated_bytes: int) -> None:
    """Refuse a file that is small only because it is compressed."""
    cells = metadata.num_rows * metadata.num_columns
    if cells > MAX_CELLS:
        raise refuse(Place(file), f"a table has at most {MAX_CELLS:,} cells", f"{cells:,}")
    groups = range(metadata.num_row_groups)
    inflated = sum(metadata.row_group(group).total_byte_size for group in groups)
    if inflated > max_inflated_bytes:
        rule = f"a file has at most {max_inflated_bytes:,} bytes once it is inflated"
        raise refuse(Place(file), rule, f"{inflated:,}")


def _read_cells(column: Any) -> Sequence[Cell]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return [cell for chunk in column.chunks for cell in _decode_dictionary(chunk)]
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return [_read_text(value) for value in column.to_pylist()]
    if pa.types.is_integer(kind):
        return [None if value is None else Decimal(value) for value in column.to_pylist()]
    if pa.types.is_decimal(kind):
        return column.to_pylist()
    if pa.types.is_floating(kind):
        return [_read_float(value, kind) for value in column.to_pylist()]
    rule = f"a value of type {kind} is neither a text nor a number"
    return [None if value is None else Unreadable(str(value), rule) for value in column.to_pylist()]


def _decode_dictionary(chunk: Any) -> Iterator[Cell]:
    values = _read_cells(pa.chunked_array([chunk.dictionary]))
    for index in chunk.indices.to_pylist():
        yield None if index is None else values[index]


def _read_text(value: str | None) -> Cell:
    return (value or "").strip() or None


def _read_float(value: float | None, kind: Any) -> Cell:
    if value is None:
        return None
    if not np.isfinite(value):
        return Unreadable(str(value), "this is no finite number")
    narrow = np.float32(value) if pa.types.is_float32(kind) else np.float64(value)
    return Decimal(str(narrow))
