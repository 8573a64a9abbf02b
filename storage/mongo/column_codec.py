"""Codec of columns: a column of numbers becomes a document with one binary of whole numbers.

The numbers are little-endian, in C order, with their dtype and shape. A value is
``number / 10**decimals``. A few numbers that a narrow dtype does not fit are exceptions, with their
places in the flat column, where the binary has 0 (patched frame of reference). Numbers beyond int64
are decimal128, whose values contain the scale. If values are written with different numbers of
digits after the point, ``digits`` has the most frequent number, and the other numbers by place.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from bson.binary import Binary
from numpy.typing import NDArray

from optimization import ScaledColumn
from storage.mongo.connection import Document
from storage.mongo.decimal_codec import COEFFICIENT, COEFFICIENT_BITS, DIGITS, EXPONENT_BIAS

DECIMAL128: Final = "decimal128"
DECIMAL128_BYTES: Final = 16
INTEGERS: Final = (np.dtype("<i2"), np.dtype("<i4"), np.dtype("<i8"))
EXCEPTION_PLACE, EXCEPTION_UNITS = np.dtype("<i4"), np.dtype("<i8")
WRITTEN_DIGITS = np.dtype("<i2")
# The part of a column, because an exception takes 12 bytes and saves at least 2 for each value.
MAX_EXCEPTIONS: Final = 1 / 8


def encode_column(column: ScaledColumn) -> Document:
    """Convert a column to a binary with its dtype, shape and scale.

    >>> written = encode_column(ScaledColumn(np.array([1250, -7]), 2))
    >>> written["dtype"], decode_column(written).value(0)
    ('<i2', Decimal('12.50'))
    """
    units = column.units
    low, high = (int(units.min()), int(units.max())) if units.size else (0, 0)
    fields: Document = {"shape": list(units.shape), "decimals": column.decimals}
    if column.digits is not None:
        fields["digits"] = _encode_digits(column.digits)
    if not _fits(low, high, INTEGERS[-1]):
        data = b"".join(map(_make_decimal128_encoder(column.decimals), units.flat))
        return fields | {"dtype": DECIMAL128, "data": Binary(data)}
    units = units.astype(np.int64, copy=False)
    dtype = next(candidate for candidate in INTEGERS if _fits(low, high, candidate))
    for narrower in INTEGERS[: INTEGERS.index(dtype)]:
        narrow = units.astype(narrower)
        places = np.flatnonzero(narrow != units)
        if len(places) <= MAX_EXCEPTIONS * units.size:
            narrow.flat[places] = 0
            exceptions = {
                "places": Binary(places.astype(EXCEPTION_PLACE).tobytes()),
                "units": Binary(units.flat[places].astype(EXCEPTION_UNITS).tobytes()),
            }
            data = Binary(narrow.tobytes())
            return fields | {"dtype": narrower.str, "data": data, "exceptions": exceptions}
    return fields | {"dtype": dtype.str, "data": Binary(units.astype(dtype).tobytes())}


def _encode_digits(digits: NDArray[np.signedinteger]) -> Document:
    values, counts = np.unique(digits, return_counts=True)
    mode = int(values[np.argmax(counts)]) if digits.size else 0
    places = np.flatnonzero(digits != mode)
    others = digits.flat[places].astype(WRITTEN_DIGITS)
    return {
        "most": mode,
        "places": Binary(places.astype(EXCEPTION_PLACE).tobytes()),
        "others": Binary(others.tobytes()),
    }


def _decode_digits(document: Document, shape: Sequence[int]) -> NDArray[np.int32]:
    digits = np.full(shape, document["most"], np.int32)
    places = np.frombuffer(document["places"], EXCEPTION_PLACE)
    digits.flat[places] = np.frombuffer(document["others"], WRITTEN_DIGITS)
    return digits


def _fits(low: int, high: int, dtype: np.dtype[Any]) -> bool:
    return bool(np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max)


def decode_column(document: Document) -> ScaledColumn:
    """Convert a document to its column."""
    shape, data = document["shape"], document["data"]
    digits = _decode_digits(document["digits"], shape) if "digits" in document else None
    if document["dtype"] != DECIMAL128:
        units = np.frombuffer(data, dtype=document["dtype"]).astype(np.int64)
        if "exceptions" in document:
            places, large = document["exceptions"]["places"], document["exceptions"]["units"]
            units[np.frombuffer(places, EXCEPTION_PLACE)] = np.frombuffer(large, EXCEPTION_UNITS)
        return ScaledColumn.from_units(units.reshape(shape), document["decimals"], digits)
    words = range(0, len(data), DECIMAL128_BYTES)
    numbers = [_decode_coefficient(data[word : word + DECIMAL128_BYTES]) for word in words]
    units = np.array(numbers, dtype=np.object_)
    return ScaledColumn(units.reshape(shape), document["decimals"], digits)


def _make_decimal128_encoder(decimals: int) -> Callable[[int], bytes]:
    """Make an encoder of whole numbers of ``10**-decimals`` with up to 34 digits."""
    exponent = (EXPONENT_BIAS - decimals) << COEFFICIENT_BITS

    def encode(units: int) -> bytes:
        bits = exponent | abs(units) | (units < 0) << 127
        return bits.to_bytes(DECIMAL128_BYTES, "little")

    return encode


def _decode_coefficient(data: bytes) -> int:
    bits = int.from_bytes(data, "little")
    return -(bits & COEFFICIENT) if bits >> 127 else bits & COEFFICIENT


def is_too_wide(column: ScaledColumn) -> NDArray[np.bool_]:
    """Whether each number has more digits than a decimal128 holds."""
    if column.units.dtype != np.object_:
        return np.zeros(column.units.shape, dtype=np.bool_)
    return (abs(column.units) >= 10**DIGITS).astype(np.bool_)
