"""Query parameters: unknown ones are refused by name, because the framework would ignore them."""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_flat_params
from fastapi.exceptions import RequestValidationError
from fastapi.params import Query

from serve_app.api.schemas.models import Version

MAX_PARAMETER_ERRORS = 20

StoredVersion = Annotated[Version, Query(description="the stored version")]


async def require_known_parameters(request: Request) -> None:
    """Refuse unknown query parameters, and repeated ones unless the route takes a list."""
    given = Counter(name for name, _ in request.query_params.multi_items())
    if not given:
        return
    known = known_parameters(request.scope["route"].dependant)
    unknown = [name for name in given if name not in known]
    repeated = [name for name, count in given.items() if count > 1 and known.get(name) is False]
    errors = [_error(name, "unknown query parameter") for name in unknown]
    errors += [_error(name, "give it only once") for name in repeated]
    if errors:
        raise RequestValidationError(errors[:MAX_PARAMETER_ERRORS])


def known_parameters(dependant: Dependant) -> Mapping[str, bool]:
    """Map the name of each query parameter of a route to whether it is a list."""
    return {
        field.alias: get_origin(field.field_info.annotation) is list
        for field in get_flat_params(dependant)
        if isinstance(field.field_info, Query)
    }


def _error(name: str, rule: str) -> dict[str, object]:
    return {"type": "parameter", "loc": ("query", name), "msg": rule}
