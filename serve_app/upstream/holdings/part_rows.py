"""Rows of one part of a file of holdings, as arrays of numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from serve_app.upstream.holdings.block import MAX_INT64, BlockBuilder, Units, multiply

PORTFOLIO, SECURITY, QUANTITY = COLUMNS = ("portfolio_id", "security_id", "quantity")


class PartRows:
    """Rows of one part: the numbers of portfolio and security, and the quantity as an integer."""

    def __init__(self, table: Any) -> None:
        portfolio_ids, self._portfolios = _encode(table[PORTFOLIO])
        self._number = {portfolio_id: at for at, portfolio_id in enumerate(portfolio_ids)}
        if len(self._number) < len(portfolio_ids):  # a dictionary may have a value twice
            same = np.array(
                [self._number[portfolio_id] for portfolio_id in portfolio_ids], np.int32
            )
            self._portfolios = same[self._portfolios]
        self._unknown = len(portfolio_ids) - 1  # number of the rows without a portfolio
        self._securities, self._security_numbers = _encode(table[SECURITY])
        self._units, self._lacks = _convert_quantities(_combine(table[QUANTITY]))
        # Bisection finds rows in the order of the portfolios, which the format asks for.
        self._is_ordered = bool(np.all(self._portfolios[1:] >= self._portfolios[:-1]))

    def add_to_block(
        self, builder: BlockBuilder, portfolio_ids: Sequence[str], rows: Sequence[int], factor: int
    ) -> None:
        """Add the holdings of these portfolios, at these rows of the block and a finer scale."""
        row_by_number = np.full(self._unknown + 1, -1, np.intp)
        numbers = [self._number.get(portfolio_id, self._unknown) for portfolio_id in portfolio_ids]
        row_by_number[numbers] = rows
        row_by_number[self._unknown] = -1
        within = self._find_stretch(numbers)
        rows_within = row_by_number[self._portfolios[within]]
        is_selected = rows_within >= 0
        # A slice if it can be, because a mask copies everything.
        selection = slice(None) if is_selected.all() else is_selected
        columns = builder.number_columns(self._securities)[
            self._security_numbers[within][selection]
        ]
        units = multiply(self._units[within][selection], factor)
        lacks = None if self._lacks is None else self._lacks[within][selection]
        builder.add(rows_within[selection], columns, units, lacks)

    def _find_stretch(self, numbers: Sequence[int]) -> slice:
        """Return the rows between the first and the last of these portfolios."""
        known_numbers = [number for number in numbers if number != self._unknown]
        if not (self._is_ordered and known_numbers):
            return slice(None)
        first = np.searchsorted(self._portfolios, min(known_numbers), "left")
        return slice(
            int(first), int(np.searchsorted(self._portfolios, max(known_numbers), "right"))
        )


def read_decimals(quantity: Any) -> int:
    """Return the number of decimals of an Arrow type, at least 0."""
    return max(0, quantity.scale) if pa.types.is_decimal(quantity) else 0


def _encode(column: Any) -> tuple[list[str | None], NDArray[np.int32]]:
    """Encode a column: its distinct values, then None, and the number of each row's value."""
    array = _combine(column)
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    values: list[str | None] = [*array.dictionary.to_pylist(), None]
    numbers, lacks = _view_integers(array.indices), _mark_nulls(array.indices)
    if lacks is not None:
        numbers = np.where(lacks, len(values) - 1, numbers)
    return values, numbers.astype(np.int32, copy=False)


def _combine(column: Any) -> Any:
    return column.unify_dictionaries().combine_chunks()


# The buffers are read here, because Arrow's own conversions import pandas: a second, 50 MB.
def _view_integers(array: Any) -> NDArray[Any]:
    """View the buffer of an array of integers; an item that is null has any value."""
    start = array.offset
    return np.frombuffer(array.buffers()[1] or b"", str(array.type))[start : start + len(array)]


def _mark_nulls(array: Any) -> NDArray[np.bool_] | None:
    """Mark the items that are null; None if there are none."""
    if not array.null_count:
        return None
    return np.from_dlpack(array.is_null().cast(pa.uint8())).view(np.bool_)


def _convert_quantities(quantities: Any) -> tuple[Units, NDArray[np.bool_] | None]:
    """Convert quantities to whole numbers of their scale, 0 for null, and mark the nulls."""
    lacks = _mark_nulls(quantities)
    if pa.types.is_decimal(quantities.type):
        units = multiply(_unscale(quantities), 10 ** max(0, -quantities.type.scale))
    else:
        units = _view_integers(quantities)
        is_large = units.dtype == np.uint64 and len(units) and units.max() > MAX_INT64
        units = units.astype(np.object_ if is_large else np.int64, copy=False)
    return units if lacks is None else np.where(lacks, 0, units), lacks


def _unscale(decimals: Any) -> Units:
    """Read the two's complement of decimals, which have 4, 8, 16 or 32 bytes, little-endian."""
    width, start = decimals.type.byte_width, decimals.offset
    buffer = decimals.buffers()[1] or b""
    if width < 8:
        return np.frombuffer(buffer, "<i4")[start : start + len(decimals)].astype(np.int64)
    words = np.frombuffer(buffer, "<i8").reshape(-1, width // 8)[start : start + len(decimals)]
    low = np.ascontiguousarray(words[:, 0])
    if np.all(words[:, 1:] == (low >> 63)[:, None]):  # the sign alone is in the other words
        return low
    large = [int.from_bytes(row_words.tobytes(), "little", signed=True) for row_words in words]
    return np.array(large, np.object_)
