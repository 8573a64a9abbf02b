"""Types of stored models and of what comes from them, by the rules in force."""

from decimal import Decimal
from typing import Annotated

import orjson
from pydantic import Field, WithJsonSchema

from serve_app.api.schemas.fields import JSON_NUMBER, DecimalText, DocumentedAs, GlobecoIdentifier
from serve_app.api.schemas.general_fields import FRACTION_TEXT, AnyIdentifier, WeightText
from serve_app.api.schemas.rules_in_force import ByRules

Identifier = Annotated[str, ByRules(GlobecoIdentifier, AnyIdentifier)]


def several_ids(min_length: int | None = None, max_length: int | None = None) -> ByRules:
    """Describe a list of ids, with its length."""
    # The limits are inside the choice, because pydantic would apply them to what surrounds it.
    length = Field(min_length=min_length, max_length=max_length)
    return ByRules(
        Annotated[list[GlobecoIdentifier], length], Annotated[list[AnyIdentifier], length]
    )


ModelWeightText = Annotated[str, ByRules(DecimalText, WeightText)]
"""A weight of a model as text: digits, or a fraction if the rules admit one."""

_NUMBER_OR_FRACTION = WithJsonSchema(
    {"anyOf": [JSON_NUMBER, {"type": "string", "pattern": FRACTION_TEXT}]}
)
WeightNumber = Annotated[
    orjson.Fragment | str,
    DocumentedAs(
        Annotated[
            Decimal | str,
            ByRules(
                Annotated[Decimal, WithJsonSchema(JSON_NUMBER)],
                Annotated[Decimal | str, _NUMBER_OR_FRACTION],
            ),
        ]
    ),
]
"""A weight of a model as a JSON number, or a fraction such as "1/3" as its text."""
