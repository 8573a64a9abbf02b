"""Server-sent events, with a cap on concurrent streams per ingress."""

from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from typing import Annotated

from fastapi import Depends, Request
from fastapi.sse import format_sse_event
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from serve_app.api.schemas.runs import RunAnswer, event_json
from serve_app.json_text import encode
from serve_app.problems.errors import TooManyStreamsError
from storage.runs.chunk_store import Event

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def chunk_event(event: Event) -> bytes:
    """Write a finished chunk of a run as a server-sent event."""
    text = encode(event_json(event)).decode()
    return format_sse_event(event="chunk", id=str(event.number), data_str=text)


def state_event(state: RunAnswer, *, is_over: bool) -> bytes:
    """Write the state of a run as a server-sent event, the last one if the run is over."""
    return format_sse_event(event="end" if is_over else "progress", data_str=encode(state).decode())


class Streams:
    """Counts the open streams of one process."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open = 0

    @property
    def open(self) -> int:
        """Number of open streams."""
        return self._open

    @property
    def most(self) -> int:
        """Maximum number of open streams."""
        return self._most

    @contextmanager
    def one_more(self) -> Generator[None]:
        """Count a stream while it is open, or raise TooManyStreamsError."""
        if self._open >= self._most:
            raise TooManyStreamsError(self._most)
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1


class EventStream(StreamingResponse):
    """Server-sent events."""

    def __init__(self, events: AsyncIterator[bytes], streams: Streams) -> None:
        super().__init__(events, 200, HEADERS, media_type="text/event-stream")
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events, unless too many streams are open."""
        with self._streams.one_more():
            await super().__call__(scope, receive, send)


async def _streams(request: Request) -> Streams:
    return request.app.state.streams


OpenStreams = Annotated[Streams, Depends(_streams)]
