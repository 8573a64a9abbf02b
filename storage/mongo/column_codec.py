"""Columns as documents: one binary of whole numbers each, and such documents as columns again.

The numbers are little-endian, in C order, with their dtype and shape. A value is
``number / 10**decimals``. Numbers beyond int64 are decimal128, whose values have the scale in
themselves.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from bson.binary import Binary
from numpy.typing import NDArray

from optimization import ScaledColumn
from storage.mongo.connection import Document
from storage.mongo.decimal_codec import COEFFICIENT, COEFFICIENT_BITS, DIGITS, EXPONENT_BIAS

DECIMAL128: Final = "decimal128"
DECIMAL128_BYTES: Final = 16
INTEGERS: Final = (np.dtype("<i4"), np.dtype("<i8"))


def column_document(column: ScaledColumn) -> Document:
    """Convert a column to a binary with its dtype, shape and scale.

    >>> written = column_document(ScaledColumn(np.array([1250, -7]), 2))
    >>> written["dtype"], column_from(written).value(0)
    ('<i4', Decimal('12.50'))
    """
    units = column.units
    low, high = (int(units.min()), int(units.max())) if units.size else (0, 0)
    for dtype in INTEGERS:
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            name, data = dtype.str, units.astype(dtype).tobytes()
            break
    else:
        name, data = DECIMAL128, b"".join(map(_decimal128s(column.decimals), units.flat))
    shape = list(units.shape)
    return {"dtype": name, "shape": shape, "decimals": column.decimals, "data": Binary(data)}


def column_from(document: Document) -> ScaledColumn:
    """Convert a document to its column."""
    shape, data = document["shape"], document["data"]
    if document["dtype"] != DECIMAL128:
        units = np.frombuffer(data, dtype=document["dtype"]).astype(np.int64)
        return ScaledColumn(units.reshape(shape), document["decimals"])
    words = range(0, len(data), DECIMAL128_BYTES)
    numbers = [_coefficient(data[word : word + DECIMAL128_BYTES]) for word in words]
    units = np.array(numbers, dtype=np.object_)
    return ScaledColumn(units.reshape(shape), document["decimals"])


def _decimal128s(decimals: int) -> Callable[[int], bytes]:
    """Encoder of whole numbers of ``10**-decimals``, with up to 34 digits."""
    exponent = (EXPONENT_BIAS - decimals) << COEFFICIENT_BITS

    def encode(units: int) -> bytes:
        bits = exponent | abs(units) | (units < 0) << 127
        return bits.to_bytes(DECIMAL128_BYTES, "little")

    return encode


def _coefficient(data: bytes) -> int:
    bits = int.from_bytes(data, "little")
    return -(bits & COEFFICIENT) if bits >> 127 else bits & COEFFICIENT


def is_too_wide(column: ScaledColumn) -> NDArray[np.bool_]:
    """Numbers with more digits than a decimal128 has."""
    if column.units.dtype != np.object_:
        return np.zeros(column.units.shape, dtype=np.bool_)
    return (abs(column.units) >= 10**DIGITS).astype(np.bool_)
