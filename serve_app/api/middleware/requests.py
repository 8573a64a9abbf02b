"""Limits of requests, as plain ASGI: form, size and time of a body, and deadline of the work."""

import asyncio
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.api.media_types import JSON, UPLOADS
from serve_app.api.problem_responses import response
from serve_app.api.schemas.fields import NUMBER
from serve_app.call_context import set_deadline
from serve_app.problems.catalogue import INVALID_REQUEST
from serve_app.problems.errors import (
    BodyCodingError,
    DeadlineExceededError,
    UnsupportedMediaTypeError,
)
from serve_app.settings import Settings

MB = 1_000_000
# A limit of their own, because a body may list 100,000 portfolios of 27 bytes each.
OF_MODELS = re.compile(r"/api/v1/(models|model/[^/]+|model/[^/]+/portfolio|runs)")
OF_OPTIMIZE = re.compile(r"/api/v1/optimize(/.*)?")
OF_UPLOADS = "/api/v1/optimize"
JSON_TYPE = re.compile(r"application/(json|[!#-.0-9^-z|~]+\+json)", re.IGNORECASE)
GZIP: Final = frozenset({"gzip", "x-gzip"})
PLAIN: Final = frozenset({"", "identity"})
BODY_WITHIN_S: Final = 120.0
HEADER: Final = "X-Request-Timeout"
MAX_DEADLINE_S: Final = 3600.0
RULE: Final = f"seconds, above 0, at most {MAX_DEADLINE_S:.0f}"
GZIP_FORMAT: Final = 16 + zlib.MAX_WBITS  # only streams with a gzip header


@dataclass(frozen=True, slots=True)
class Bounds:
    """Size limits of bodies in bytes, by path of the request."""

    otherwise: int
    by_path: tuple[tuple[re.Pattern[str], int], ...] = ()

    @classmethod
    def read(cls, settings: Settings) -> Self:
        """Read the limits from the settings."""
        models = (OF_MODELS, settings.max_model_body_mb * MB)
        optimize = (OF_OPTIMIZE, settings.max_optimize_body_mb * MB)
        return cls(settings.max_body_mb * MB, (models, optimize))

    def find_limit(self, path: str) -> int:
        """Look up the limit of bodies sent to this path."""
        limits = (most for pattern, most in self.by_path if pattern.fullmatch(path))
        return next(limits, self.otherwise)


class RequestBodies:
    """Passes every body on uncompressed, as JSON or an upload, or refuses it while it arrives.

    A body is refused once its announced, received or inflated length exceeds the limit, or once it
    is late, because it occupies a place of the ingress and the proxy limits only pauses within it.
    An empty or unread body is not checked.
    """

    def __init__(self, app: ASGIApp, bounds: Bounds, within_s: float = BODY_WITHIN_S) -> None:
        self.app = app
        self.bounds = bounds
        self.within_s = within_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most = self.bounds.find_limit(scope["path"])
        headers = Headers(scope=scope)
        uploads = UPLOADS if scope["path"] == OF_UPLOADS else ()
        body = _Body(receive, headers, most, self.within_s, uploads)
        media_type = headers.get("content-type", "")
        body_type = media_type if _bare(media_type) in uploads else JSON
        # The scope is changed in place, because the request metrics find the route in it.
        scope["headers"] = _as_plain(scope["headers"], body_type)
        await self.app(scope, body.receive, send)


class _Body:
    """The body of one request."""

    def __init__(
        self,
        receive: Receive,
        headers: Headers,
        most: int,
        within_s: float,
        uploads: tuple[str, ...],
    ) -> None:
        self._receive = receive
        self._headers = headers
        self._uploads = uploads
        self._until = asyncio.get_running_loop().time() + within_s
        self._most = self._left = most
        self._inflater: _Inflater | None = None
        self._begun = self._is_whole = False

    async def receive(self) -> Message:
        """Receive the next part of the body, uncompressed."""
        length = self._headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > self._most:
            raise HTTPException(413)
        message = await self._receive_in_time()
        if message["type"] != "http.request":
            return message
        part = message.get("body", b"")
        if part and not self._begun:
            self._begin()
        if self._inflater is not None:
            more = message.get("more_body", False)
            # A thread inflates the part, because 64 kB may inflate to a body of the maximum size.
            part = await asyncio.to_thread(self._inflater.inflate, part, self._left, more)
        self._left -= len(part)
        if self._left < 0:
            raise HTTPException(413)
        return {**message, "body": part}

    async def _receive_in_time(self) -> Message:
        if self._is_whole:  # because only a hang-up can follow
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408) from None
        self._is_whole = not message.get("more_body", False)
        return message

    def _begin(self) -> None:
        """Refuse an unsupported body before reading any part."""
        self._begun = True
        media_type = self._headers.get("content-type", "")
        is_known = JSON_TYPE.fullmatch(_bare(media_type)) or _bare(media_type) in self._uploads
        if media_type and not is_known:
            raise UnsupportedMediaTypeError("Content-Type", media_type, (JSON, *self._uploads))
        coding = ",".join(self._headers.getlist("content-encoding")).strip()
        if coding.lower() in GZIP:
            self._inflater = _Inflater()
        elif coding.lower() not in PLAIN:
            raise UnsupportedMediaTypeError("Content-Encoding", coding, ("gzip",))


class _Inflater:
    """Gzip stream, inflated up to a limit."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(GZIP_FORMAT)

    def inflate(self, part: bytes, most: int, more: bool) -> bytes:
        """Inflate a part up to one byte beyond the limit."""
        try:
            text = self._stream.decompress(part, most + 1)
        except zlib.error as error:
            raise BodyCodingError from error
        is_whole = self._stream.eof or len(text) > most
        if self._stream.unused_data or not (more or is_whole):
            raise BodyCodingError
        return text


def _bare(media_type: str) -> str:
    """Return a media type without its parameters."""
    return media_type.partition(";")[0].strip().lower()


def _as_plain(headers: Iterable[tuple[bytes, bytes]], media_type: str) -> list[tuple[bytes, bytes]]:
    """Replace the headers of the body by those of a plain one."""
    body_headers = {b"content-type", b"content-encoding", b"content-length"}
    others = [(name, value) for name, value in headers if name.lower() not in body_headers]
    return [*others, (b"content-type", media_type.encode("latin-1"))]


class Deadlines:
    """Stops a request at its deadline; an answer already started is finished."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        text = Headers(scope=scope).get(HEADER) if scope["type"] == "http" else None
        if text is None:
            await self.app(scope, receive, send)
            return
        seconds = _seconds(text)
        if seconds is None:
            errors = [{"parameter": HEADER, "detail": RULE}]
            refusal = response(
                INVALID_REQUEST, f"{HEADER}: {RULE}", scope["path"], {"errors": errors}
            )
            await refusal(scope, receive, send)
            return
        timeout = asyncio.timeout(seconds)

        async def send_without_deadline(message: Message) -> None:
            timeout.reschedule(None)
            await send(message)

        try:
            async with timeout:
                with set_deadline(seconds):
                    await self.app(scope, receive, send_without_deadline)
        except TimeoutError:
            if not timeout.expired():
                raise
            raise DeadlineExceededError(HEADER, seconds) from None


def _seconds(text: str) -> float | None:
    seconds = float(text) if NUMBER.fullmatch(text) else 0.0
    return seconds if 0 < seconds <= MAX_DEADLINE_S else None
