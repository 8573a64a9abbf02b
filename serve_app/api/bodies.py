"""How long a request body may be, as plain ASGI: some routes take longer ones than the others."""

import re
from dataclasses import dataclass
from typing import Self

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.settings import Settings

MB = 1_000_000
# Their bodies list portfolios, 27 bytes each, and a model or a run may have 100,000 of them.
OF_MODELS = re.compile(r"/api/v1/(models|model/[^/]+|model/[^/]+/portfolio|runs)")
OF_OPTIMIZE = re.compile(r"/api/v1/optimize(/.*)?")


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most bytes of a body, by the path of the request."""

    otherwise: int
    by_path: tuple[tuple[re.Pattern[str], int], ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The bounds that the settings give."""
        models = (OF_MODELS, settings.max_model_body_mb * MB)
        optimize = (OF_OPTIMIZE, settings.max_optimize_body_mb * MB)
        return cls(settings.max_body_mb * MB, (models, optimize))

    def of_path(self, path: str) -> int:
        """The most bytes of a body that is sent to this path."""
        found = (most for pattern, most in self.by_path if pattern.fullmatch(path))
        return next(found, self.otherwise)


class BodyLimit:
    """Refuses a body that is too long, by its announced length or while it arrives."""

    def __init__(self, app: ASGIApp, bounds: Bounds) -> None:
        self.app = app
        self.bounds = bounds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        most = left = self.bounds.of_path(scope["path"])

        async def bounded() -> Message:
            nonlocal left
            if not announced.isdecimal() or int(announced[:20]) > most:
                raise HTTPException(413)
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413)
            return message

        await self.app(scope, bounded, send)
