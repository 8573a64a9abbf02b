"""Kinds of fields that several bodies have."""

from typing import Annotated

from pydantic import Field

SECURITY = "5f3e9a7b1c2d4e6f8a9b0c1d"
PORTFOLIO = "683b6d88a29ee10e8b499643"
MODEL = "6540f1a2b3c4d5e6f7a8b9c0"
MOST_PLACES = 10

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{24}$")]
ObjectIdentifier = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{24}$", examples=[MODEL])]
DecimalText = Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$", examples=["0.005"])]
