"""Deadlines: a caller says for how long it waits, and nothing of its request goes on after that."""

import asyncio
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.api.refusals import response
from serve_app.problems import INVALID
from serve_app.problems.errors import DeadlineExceededError
from serve_app.settings import Settings

HEADER = "X-Request-Timeout"
LONGEST_S = 3600.0
RULE = f"seconds, above 0, at most {LONGEST_S:.0f}"
deadline: ContextVar[float | None] = ContextVar("deadline", default=None)
"""When the caller stops waiting, by the clock of the event loop."""


class Deadlines:
    """Ends a request that its caller no longer waits for; an answer that has begun is finished."""

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
        deadline.set(asyncio.get_running_loop().time() + seconds)
        waiting = asyncio.timeout(seconds)
        try:
            async with waiting:

                async def answered(message: Message) -> None:
                    waiting.reschedule(None)
                    await send(message)

                await self.app(scope, receive, answered)
        except TimeoutError:
            if not waiting.expired():
                raise
            raise DeadlineExceededError(HEADER, seconds) from None


def within_deadline(options: Mapping[str, Any], settings: Settings) -> Mapping[str, Any]:
    """Options of a request that is waited for: no portfolio is solved for longer than the caller waits."""
    at = deadline.get()
    if at is None:
        return options
    left_s = max(0.001, at - asyncio.get_running_loop().time())
    return {**options, "time_limit_s": min(left_s, settings.optimization_timeout)}


def _seconds(given: str) -> float | None:
    try:
        seconds = float(given)
    except ValueError:
        return None
    return seconds if 0 < seconds <= LONGEST_S else None
