"""Types of members that several bodies share."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from itertools import islice
from typing import Annotated, Any, Final, Literal, get_args

import orjson
from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

SECURITY = "5f3e9a7b1c2d4e6f8a9b0c1d"
PORTFOLIO = "683b6d88a29ee10e8b499643"
MODEL = "6540f1a2b3c4d5e6f7a8b9c0"
MAX_DECIMAL_PLACES = 10

GlobecoIdentifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{24}$")]
ObjectIdentifier = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{24}$", examples=[MODEL])]
FRACTION = r"^(0(\.[0-9]{1,10})?|1(\.0{1,10})?)$"
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+")


@dataclass(frozen=True, slots=True)
class NumberText:
    """A decimal of a request: a JSON number, or a string of ASCII digits, sign, point and exponent.

    Python alone would also accept "1_000", digits of other scripts, "NaN" and "Infinity".
    """

    pattern: str
    low: float
    high: float

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_number, handler(source))

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, __: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        number = {"type": "number", "minimum": self.low, "maximum": self.high}
        return {"anyOf": [number, {"type": "string", "pattern": self.pattern}]}


def describe_number(pattern: str, low: float, high: float) -> NumberText:
    """Describe a decimal of a request: its pattern as text, and its limits."""
    return NumberText(pattern, low, high)


def _number(value: object) -> object:
    if isinstance(value, str) and not NUMBER.fullmatch(value):
        raise ValueError("a number has ASCII digits, and may have a sign, a point and an exponent")
    return value


def _whole_number(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("true and false are not numbers")  # pydantic would take them for 1 and 0
    if isinstance(value, str) and not WHOLE_NUMBER.fullmatch(value):
        raise ValueError("a whole number has ASCII digits, and may have a sign")
    return value


# Stands after the limits of an `Annotated[int, ...]`, otherwise pydantic renames these.
WHOLE: Final = BeforeValidator(_whole_number)
DecimalText = Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$", examples=["0.005"])]


@dataclass(frozen=True, slots=True)
class DocumentedAs:
    """Documents a member of an answer by the schema of another type than its builder writes.

    Answers are plain dicts of JSON text, because models of tens of thousands of lines would take
    seconds to make. So a date is a string in Python, and a date in the schema.
    """

    shape: Any

    def __get_pydantic_core_schema__(self, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return handler.generate_schema(self.shape)


def inline_enum(values: type[StrEnum]) -> Any:
    """Make a literal of an enumeration's values, because an enumeration would be a component."""
    literal: Any = Literal
    return literal[tuple(value.value for value in values)]


def document_counts(values: type[StrEnum]) -> DocumentedAs:
    """Document numbers by the values of an enumeration."""
    keys: Any = inline_enum(values)
    return DocumentedAs(dict[keys, int])


JSON_NUMBER: Final = {"type": "number"}
_NUMBER: Final = DocumentedAs(Annotated[Decimal, WithJsonSchema(JSON_NUMBER)])
JsonNumber = Annotated[orjson.Fragment | int, _NUMBER]
"""A number written from a Decimal's own digits."""

DateText = Annotated[str, DocumentedAs(date)]
InstantText = Annotated[str, DocumentedAs(datetime)]


def ignored_fields(value: Any, shape: type[BaseModel], most: int) -> list[tuple[str | int, ...]]:
    """List the first paths of a body that its shape ignores."""
    return list(islice(_find_ignored(value, shape, ()), most))


def _find_ignored(
    value: Any, shape: type[BaseModel], path: tuple[str | int, ...]
) -> Iterator[tuple[str | int, ...]]:
    if not isinstance(value, dict):
        return
    for name, inner in value.items():
        field = shape.model_fields.get(name)
        if field is None:
            yield (*path, name)
            continue
        for part in _shapes(field.annotation):
            rows = enumerate(inner) if isinstance(inner, list) else ()
            for index, row in rows:
                yield from _find_ignored(row, part, (*path, name, index))


def _shapes(annotation: Any) -> Iterator[type[BaseModel]]:
    """Find the shapes of the rows of a list."""
    for argument in get_args(annotation):
        if isinstance(argument, type) and issubclass(argument, BaseModel):
            yield argument
