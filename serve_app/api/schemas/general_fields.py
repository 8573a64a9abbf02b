"""Types under the general rules: readable ids, weights as fractions, amounts of 18 decimals."""

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, Field, PlainValidator, TypeAdapter, WithJsonSchema
from pydantic_core import PydanticCustomError

from optimization import (
    IDENTIFIER_RULE,
    MAX_IDENTIFIER_LENGTH,
    Weight,
    WrittenFraction,
    count_needed_decimals,
    is_identifier,
)
from serve_app.api.schemas.fields import describe_number

MAX_AMOUNT = 10**15  # because with 18 decimals it fills the 34 digits of a Decimal128
MAX_DECIMALS = 18
MAX_WEIGHT_DECIMALS = 12

UNSIGNED = r"[0-9]{1,16}(\.[0-9]{1,18})?"
AMOUNT = rf"^{UNSIGNED}$"
GIVEN_FRACTION = "(0|[1-9][0-9]{0,11})/[1-9][0-9]{0,11}"
# The digits have no bound, because the drift of a fraction may have a longer denominator.
FRACTION_TEXT = "^[0-9]+/[0-9]+$"
PART = r"^(0(\.[0-9]{1,12})?|1(\.0{1,12})?)$"
# The pattern names blanks at the ends and invisible characters, not all that is refused.
HIDDEN = r"\u0000-\u001f\u007f-\u00a0\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff"
READABLE = rf"^[^\s{HIDDEN}]([^{HIDDEN}]{{0,{MAX_IDENTIFIER_LENGTH - 2}}}[^\s{HIDDEN}])?$"


def _readable(value: str) -> str:
    if not is_identifier(value):
        raise PydanticCustomError(
            "identifier",
            IDENTIFIER_RULE,  # pyright: ignore[reportArgumentType]
        )
    return value


def limit_decimals(max_decimals: int) -> AfterValidator:
    """Refuse a number with more decimals; trailing zeros do not count."""

    def check(value: Decimal) -> Decimal:
        # The place of the first digit is compared first, because it may settle the question alone.
        if value and (
            value.adjusted() < -max_decimals or count_needed_decimals(value) > max_decimals
        ):
            detail = "a number has at most {most} decimals here"
            raise PydanticCustomError("decimals", detail, {"most": max_decimals})
        return value

    return AfterValidator(check)


AnyIdentifier = Annotated[
    str,
    AfterValidator(_readable),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_IDENTIFIER_LENGTH,
            "pattern": READABLE,
            "description": "a ticker, an ISIN, an account number ...: "
            "1 to 64 printable characters, no blanks at the ends",
        }
    ),
]
Amount = Annotated[
    Decimal,
    Field(ge=-MAX_AMOUNT, le=MAX_AMOUNT),
    limit_decimals(MAX_DECIMALS),
    describe_number(rf"^-?{UNSIGNED}$", -MAX_AMOUNT, MAX_AMOUNT),
]
Price = Annotated[
    Decimal,
    Field(ge=0, le=MAX_AMOUNT),
    limit_decimals(MAX_DECIMALS),
    describe_number(AMOUNT, 0, MAX_AMOUNT),
]
Part = Annotated[
    Decimal, Field(ge=0, le=1), limit_decimals(MAX_WEIGHT_DECIMALS), describe_number(PART, 0, 1)
]
_part: Callable[[object], Decimal] = TypeAdapter[Decimal](Part).validate_python


def _weight(value: object) -> Weight:
    """Read a weight: a part of market value, or the text of a fraction."""
    if isinstance(value, str) and "/" in value:
        return WrittenFraction.parse(value)
    return _part(value)


WeightOrFraction = Annotated[
    Weight,
    PlainValidator(_weight),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1},
                {"type": "string", "pattern": PART},
                {"type": "string", "pattern": rf"^{GIVEN_FRACTION}$"},
            ],
            "examples": ["0.25", "1/3"],
        }
    ),
]
WeightText = Annotated[
    str,
    Field(
        pattern=rf"^[0-9]+(\.[0-9]+)?$|{FRACTION_TEXT}",
        examples=["0.25"],
        description="a decimal, or a fraction such as 1/3 if the target was given as a fraction",
    ),
]
