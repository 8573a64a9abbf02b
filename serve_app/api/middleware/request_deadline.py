"""Deadline of a request: X-Request-Timeout limits the time of all its work."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.api.problem_responses import response
from serve_app.api.schemas.fields import NUMBER
from serve_app.call_context import within
from serve_app.problems.catalogue import INVALID
from serve_app.problems.errors import DeadlineExceededError

HEADER = "X-Request-Timeout"
MAX_DEADLINE_S = 3600.0
RULE = f"seconds, above 0, at most {MAX_DEADLINE_S:.0f}"


class Deadlines:
    """Stops a request at its deadline; an answer already started is finished."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = Headers(scope=scope).get(HEADER) if scope["type"] == "http" else None
        if given is None:
            await self.app(scope, receive, send)
            return
        seconds = _seconds(given)
        if seconds is None:
            errors = [{"parameter": HEADER, "detail": RULE}]
            refusal = response(INVALID, f"{HEADER}: {RULE}", scope["path"], {"errors": errors})
            await refusal(scope, receive, send)
            return
        waiting = asyncio.timeout(seconds)

        async def send_without_deadline(message: Message) -> None:
            waiting.reschedule(None)
            await send(message)

        try:
            async with waiting:
                with within(seconds):
                    await self.app(scope, receive, send_without_deadline)
        except TimeoutError:
            if not waiting.expired():
                raise
            raise DeadlineExceededError(HEADER, seconds) from None


def _seconds(given: str) -> float | None:
    seconds = float(given) if NUMBER.fullmatch(given) else 0.0
    return seconds if 0 < seconds <= MAX_DEADLINE_S else None
