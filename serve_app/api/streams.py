"""Streams of events, of which an ingress has so many open at a time."""

from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from typing import Annotated

from fastapi import Depends, Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from serve_app.problems.errors import TooManyStreamsError

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Streams:
    """Counts the open streams of one process."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open = 0

    @contextmanager
    def one_more(self) -> Generator[None]:
        """For as long as a stream is open. Raises TooManyStreamsError instead of one too many."""
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
        """Send the events, or nothing where there is no room for them."""
        with self._streams.one_more():
            await super().__call__(scope, receive, send)


def _streams(request: Request) -> Streams:
    return request.app.state.streams


OpenStreams = Annotated[Streams, Depends(_streams)]
