"""Exact request bodies: numbers are never floats, and ignored fields are named."""

import json
import logging
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from serve_app.api.response_headers import IGNORED_FIELDS, header_list
from serve_app.api.schemas.fields import ignored_fields
from serve_app.api.schemas.rules_in_force import ByRules
from serve_app.json_text import AmbiguousTextError, decode, json_errors
from serve_app.problems.pointers import json_pointer

MAX_NAMED_FIELDS: Final = 20
MAX_POINTER_LENGTH: Final = 120

logger = logging.getLogger(__name__)


class ExactRequest(Request):
    """A request whose JSON numbers are read as Decimals."""

    _value: Any = None

    async def read(self) -> bytes:
        """Read the body; raises HTTPException, because the framework would hide the reason."""
        try:
            return await self.body()
        except ClientDisconnect:
            raise HTTPException(400) from None

    async def decode(self) -> None:
        """Decode the body as JSON, once; raises RequestValidationError if it is not JSON."""
        body = await self.read()
        if not body:
            return
        try:
            self._value = decode(body)
        except (json.JSONDecodeError, AmbiguousTextError) as error:
            raise RequestValidationError(json_errors(error)) from error

    async def json(self) -> Any:
        """Return the value that ``decode`` has read."""
        return self._value


class ExactRoute(APIRoute):
    """A route that reads its body exactly, and names the fields it ignores by contract."""

    def get_route_handler(self) -> Any:
        handle = super().get_route_handler()
        body = self.body_field and self.body_field.field_info
        shape = body.annotation if body else None
        by_rules = [mark for mark in body.metadata if isinstance(mark, ByRules)] if body else []

        async def exactly(request: Request) -> Response:
            exact = ExactRequest(request.scope, request.receive)
            if shape is None:
                return await handle(exact)
            await exact.decode()
            answer = await handle(exact)
            _name_ignored(await exact.json(), by_rules[0].shape if by_rules else shape, answer)
            return answer

        return exactly


def _name_ignored(value: Any, shape: Any, answer: Response) -> None:
    if not (isinstance(shape, type) and issubclass(shape, BaseModel)):
        return  # options are optional, and ignore nothing
    paths = ignored_fields(value, shape, MAX_NAMED_FIELDS)
    if paths:
        pointers = (json_pointer([str(step) for step in path]) for path in paths)
        # Pointers are URI fragments, because a header is ASCII and a name may have commas.
        text = header_list((pointer[:MAX_POINTER_LENGTH] for pointer in pointers), safe="/~[]$")
        answer.headers[IGNORED_FIELDS] = text
        logger.info("ignored fields of a body: %s", text)
