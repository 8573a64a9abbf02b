"""Streamed answers: the parts of a response become values, each with a bound on its length.

Only a line feed ends a line of JSON, because a JSON text may contain the other line ends of
Unicode; httpx-sse splits server-sent events by the same rule.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import httpx
from httpx_sse import EventSource, ServerSentEvent

from serve_app.client.call import Call, parse_answer
from serve_app.client.errors import LOST, ResponseTooLargeError
from serve_app.client.responses.runs import ChunkDone, Run, RunEvent

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
EVENTS: Mapping[str, Any] = {"chunk": ChunkDone, "progress": Run, "end": Run}
BROKEN = (*LOST, httpx.ReadTimeout)
MAX_BREAKS = 10
RESUME_AFTER_S = 1.0
MAX_ANSWER_BYTES = 1 << 30  # as received: a compressed answer may become longer
MAX_VALUE_BYTES = 1 << 26


class BoundedStream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """Stream of a response's bytes, at most ``limit`` of them between two resets."""

    def __init__(self, response: httpx.Response, limit: int) -> None:
        self._stream: Any = response.stream
        self._limit = limit
        self._received = 0

    def reset(self) -> None:
        """Start counting anew."""
        self._received = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._stream:
            yield self._count_bytes(piece)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            yield self._count_bytes(piece)

    def close(self) -> None:
        """Close the connection, or give it back."""
        self._stream.close()

    async def aclose(self) -> None:
        """Close the connection, or give it back."""
        await self._stream.aclose()

    def _count_bytes(self, piece: bytes) -> bytes:
        self._received += len(piece)
        if self._received > self._limit:
            raise ResponseTooLargeError(f"over {self._limit:,} bytes in one answer")
        return piece


class StreamReader(Protocol[T_co]):
    """Reader of a streamed answer; ``call`` requests the rest of the answer after a break."""

    call: Call[Any]

    def parts(self, response: httpx.Response) -> Iterator[Any]:
        """Split the response as it arrives."""
        ...

    def async_parts(self, response: httpx.Response) -> AsyncIterator[Any]:
        """Split the response as it arrives, in an event loop."""
        ...

    def read(self, part: Any) -> Iterator[T_co]:
        """Yield the values that are complete with this part."""
        ...

    def require_end(self) -> None:
        """Raise httpx.RemoteProtocolError if a response that ended is not complete."""
        ...

    def pause_s(self, error: Exception, /) -> bool | float:
        """Decide if and after how many seconds to repeat the call after this error."""
        ...


class _OneTimeStream:
    """Stream of bytes that is not resumed after a break, because the service would restart it."""

    def parts(self, response: httpx.Response) -> Iterator[bytes]:
        return response.iter_bytes()

    def async_parts(self, response: httpx.Response) -> AsyncIterator[bytes]:
        return response.aiter_bytes()

    def pause_s(self, _error: Exception) -> bool:
        return False


@dataclass
class Pieces(_OneTimeStream):
    """Reader of the bytes of an answer as they arrive."""

    call: Call[Any]

    def read(self, part: bytes) -> Iterator[bytes]:
        """Yield the piece itself."""
        yield part

    def require_end(self) -> None:
        """Accept any end, because the client does not know the format of the bytes."""


@dataclass
class Lines(_OneTimeStream, Generic[T]):
    """Reader of JSON lines, one value for each line."""

    call: Call[Any]
    kind: type[T]
    rest: bytes = b""

    def read(self, part: bytes) -> Iterator[T]:
        """Yield the values whose lines are complete."""
        *lines, self.rest = (self.rest + part).split(b"\n")
        for line in lines:
            if line:
                yield parse_answer(self.kind, line)

    def require_end(self) -> None:
        """Raise httpx.RemoteProtocolError if the last line has no end."""
        if self.rest:
            raise httpx.RemoteProtocolError("the answer ends in the middle of a line")


@dataclass(slots=True)
class Events:
    """Reader of the server-sent events of a run, resumed after the last chunk received."""

    call: Call[Any]
    last: int = 0
    is_over: bool = False
    breaks: int = 0

    def parts(self, response: httpx.Response) -> Iterator[ServerSentEvent]:
        """Split the response into events."""
        return EventSource(response).iter_sse()

    def async_parts(self, response: httpx.Response) -> AsyncIterator[ServerSentEvent]:
        """Split the response into events, in an event loop."""
        return EventSource(response).aiter_sse()

    def read(self, part: ServerSentEvent) -> Iterator[RunEvent]:
        """Yield the event, unless this client does not know its kind."""
        # A comment after an event with an id arrives as an event without a name and without data.
        if part.event not in EVENTS:
            return
        event: RunEvent = parse_answer(EVENTS[part.event], part.data.encode())
        if isinstance(event, ChunkDone):
            # Breaks count only without a chunk between them, because a stream that moves on lives.
            self.last, self.breaks = event.number, 0
        self.is_over = part.event == "end"
        yield event

    def require_end(self) -> None:
        """Raise httpx.RemoteProtocolError if the stream ended before the run did."""
        if not self.is_over:
            raise httpx.RemoteProtocolError("the events ended again and again before their run did")

    def pause_s(self, error: Exception) -> bool | float:
        """Resume after the last chunk, unless the stream keeps breaking without a new chunk."""
        if self.is_over or not isinstance(error, BROKEN) or self.breaks == MAX_BREAKS:
            return False
        self.breaks += 1
        self.call = self.call.with_headers({"Last-Event-ID": str(self.last)})
        return RESUME_AFTER_S
