"""Kinds of fields that several bodies have."""

from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

SECURITY = "5f3e9a7b1c2d4e6f8a9b0c1d"
PORTFOLIO = "683b6d88a29ee10e8b499643"
MODEL = "6540f1a2b3c4d5e6f7a8b9c0"
MOST_PLACES = 10

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{24}$")]
ObjectIdentifier = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{24}$", examples=[MODEL])]
FRACTION = r"^(0(\.[0-9]{1,10})?|1(\.0{1,10})?)$"


def written(pattern: str, low: float, high: float) -> WithJsonSchema:
    """How the document shows a decimal of a request: a JSON number, or a string of its digits."""
    number = {"type": "number", "minimum": low, "maximum": high}
    return WithJsonSchema({"anyOf": [number, {"type": "string", "pattern": pattern}]})


def _no_truth(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("true and false are no numbers")  # pydantic would take them for 1 and 0
    return value


Whole = Annotated[int, BeforeValidator(_no_truth)]
DecimalText = Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$", examples=["0.005"])]
