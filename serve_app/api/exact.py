"""Request bodies without a float on the way."""

from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from serve_app.wire.text import decoded


class ExactRequest(Request):
    """A request whose JSON numbers arrive as the Decimals that were written."""

    async def json(self) -> Any:
        return decoded(await self.body())


class ExactRoute(APIRoute):
    """A route that reads its body exactly."""

    def get_route_handler(self) -> Any:
        handle = super().get_route_handler()

        async def exactly(request: Request) -> Response:
            return await handle(ExactRequest(request.scope, request.receive))

        return exactly
