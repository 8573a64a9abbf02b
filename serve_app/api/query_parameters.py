"""Query parameters: one that a route does not know would be ignored, and is refused by its name instead."""

from collections import Counter
from collections.abc import Mapping
from typing import get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_flat_params
from fastapi.exceptions import RequestValidationError
from fastapi.params import Query

MAX_PARAMETER_ERRORS = 20


async def require_known_parameters(request: Request) -> None:
    """Refuse a query parameter that the route does not know, and one that is given twice to no list."""
    given = Counter(name for name, _ in request.query_params.multi_items())
    if not given:
        return
    known = known_parameters(request.scope["route"].dependant)
    unknown = [name for name in given if name not in known]
    repeated = [name for name, count in given.items() if count > 1 and known.get(name) is False]
    errors = [_error(name, "there is no such query parameter here") for name in unknown]
    errors += [_error(name, "it may be given once") for name in repeated]
    if errors:
        raise RequestValidationError(errors[:MAX_PARAMETER_ERRORS])


def known_parameters(dependant: Dependant) -> Mapping[str, bool]:
    """Whether each query parameter of a route is a list, by its name."""
    return {
        field.alias: get_origin(field.field_info.annotation) is list
        for field in get_flat_params(dependant)
        if isinstance(field.field_info, Query)
    }


def _error(name: str, rule: str) -> dict[str, object]:
    return {"type": "parameter", "loc": ("query", name), "msg": rule}
