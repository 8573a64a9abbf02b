"""Decimal <-> BSON Decimal128, exact; times in the precision of the database.

Decimal128 has 34 digits. A Decimal that needs more digits is stored as a string, never rounded, so
a reader passes every stored Decimal through ``decode_decimal``. A fraction such as 1/3 is stored as
its text.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, Inexact, Overflow
from fractions import Fraction
from functools import lru_cache
from typing import Any

from bson.codec_options import TypeCodec, TypeRegistry
from bson.decimal128 import Decimal128

from optimization import Weight, WrittenFraction, weight_text

DIGITS = 34
EXPONENT_BIAS = 6176
COEFFICIENT_BITS = 113
LOW_WORD = 2**64 - 1
COEFFICIENT = (1 << COEFFICIENT_BITS) - 1
MAX_INT64 = 2**63 - 1


def encode_decimal(value: Decimal) -> Decimal128 | str:
    """Convert a Decimal to its equal in a document: a Decimal128, or a string if too long.

    >>> encode_decimal(Decimal("1.10"))
    Decimal128('1.10')
    >>> encode_decimal(Decimal("1." + "1" * 40))
    '1.1111111111111111111111111111111111111111'
    """
    text = str(value)
    whole, _, fraction = text.lstrip("-").partition(".")
    digits = whole + fraction
    if len(digits) <= DIGITS and digits.isdecimal():
        # Decimal128(value) is avoided, because it takes five times as long and bounds the writing
        # of outcomes, which have five decimals each.
        coefficient = int(digits)
        high = (EXPONENT_BIAS - len(fraction)) << 49 | coefficient >> 64
        if text[0] == "-":
            high |= 1 << 63
        return Decimal128((high, coefficient & LOW_WORD))  # pyright: ignore[reportArgumentType]
    try:
        return Decimal128(value)
    except (Inexact, Overflow):
        return text


@lru_cache(maxsize=16_384)  # because weights, drifts and prices repeat
def _decode_bid(bid: bytes) -> Decimal:
    bits = int.from_bytes(bid, "little")
    if bits >> 125 & 0b11 == 0b11:  # infinities and NaN
        return Decimal128.from_bid(bid).to_decimal()
    exponent = (bits >> COEFFICIENT_BITS & 0x3FFF) - EXPONENT_BIAS
    sign = "-" if bits >> 127 else ""
    return Decimal(f"{sign}{bits & COEFFICIENT}E{exponent}")


class DecimalCodec(TypeCodec):
    """Codec between the Decimal128 of the database and Python's Decimal."""

    @property
    def python_type(self) -> type[Decimal]:
        """The type that is written."""
        return Decimal

    @property
    def bson_type(self) -> type[Decimal128]:
        """The type that is read."""
        return Decimal128

    def transform_python(self, value: Decimal) -> Decimal128 | str:
        """Convert a Decimal for the database."""
        return encode_decimal(value)

    def transform_bson(self, value: Decimal128) -> Decimal:
        """Convert a Decimal128 of the database."""
        return _decode_bid(value.bid)


TYPE_REGISTRY = TypeRegistry([DecimalCodec()])


def decode_decimal(value: Decimal | str | int) -> Decimal:
    """Convert a stored number to a Decimal, also a number too long for Decimal128."""
    return value if isinstance(value, Decimal) else Decimal(value)


def encode_weight(weight: Weight) -> Decimal | str:
    """Convert a weight for a document: a Decimal, or the text of a fraction.

    >>> encode_weight(Fraction(1, 12)), encode_weight(Decimal("0.250"))
    ('1/12', Decimal('0.250'))
    """
    return weight if isinstance(weight, Decimal) else weight_text(weight)


def decode_weight(value: Decimal | str | int) -> Weight:
    """Convert a stored weight; a fraction keeps the text that it was given as.

    >>> str(decode_weight("2/6")), decode_weight(Decimal("0.25"))
    ('2/6', Decimal('0.25'))
    >>> decode_weight("1/3") == Fraction(1, 3)
    True
    """
    if not isinstance(value, str) or "/" not in value:
        return decode_decimal(value)
    try:
        return WrittenFraction.parse(value)
    except ValueError:  # the drift of a fraction may have a longer denominator than a request may
        return Fraction(value)


def to_storable(value: Any) -> Any:
    """Convert free-form data (options, members of a refusal) to data within 64-bit integers."""
    if isinstance(value, str | Decimal):  # first, because a certificate has thousands of them
        return value
    if isinstance(value, Mapping):
        return {str(key): to_storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_storable(item) for item in value]
    if isinstance(value, int) and abs(value) > MAX_INT64:
        return Decimal(value)
    return value


def to_milliseconds(at: datetime) -> datetime:
    """Round a moment to the precision of the database: UTC, whole milliseconds."""
    at = at.astimezone(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def now() -> datetime:
    """Return the current time in the precision of the database, milliseconds."""
    return to_milliseconds(datetime.now(UTC))
