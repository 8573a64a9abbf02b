"""Answers that come piece by piece: how their bytes become values.

A line ends with a line feed and with nothing else: other characters that Unicode calls an end of line may
stand inside of a JSON text.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import httpx

from serve_app.client.call import Call, read_as
from serve_app.client.run_models import ChunkDone, Run, RunEvent

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
KINDS: Mapping[str, Any] = {"chunk": ChunkDone, "progress": Run, "end": Run}
MOST_BREAKS = 10


class Reading(Protocol[T_co]):
    """An answer in pieces, and the call for it: another one after every break."""

    call: Call[Any]

    def read(self, piece: bytes) -> Iterator[T_co]:
        """The values that are complete with this piece."""
        ...

    def resumes(self) -> bool:
        """Whether to make the call again after the pieces ended."""
        ...


@dataclass(slots=True)
class Pieces:
    """The bytes of an answer as they come."""

    call: Call[Any]

    def read(self, piece: bytes) -> Iterator[bytes]:
        """The piece itself."""
        yield piece

    def resumes(self) -> bool:
        """What broke off is lost."""
        return False


@dataclass(slots=True)
class Lines(Generic[T]):
    """One JSON text a line."""

    call: Call[Any]
    kind: type[T]
    rest: bytes = b""

    def read(self, piece: bytes) -> Iterator[T]:
        """The values whose lines are complete."""
        *lines, self.rest = (self.rest + piece).split(b"\n")
        for line in lines:
            if line:
                yield read_as(self.kind, line)

    def resumes(self) -> bool:
        """What broke off is lost."""
        return False


@dataclass(slots=True)
class Events:
    """Server-sent events of a run, from where a broken line left off."""

    call: Call[Any]
    last: int = 0
    over: bool = False
    breaks: int = 0
    rest: bytes = b""
    fields: dict[str, str] = field(default_factory=dict[str, str])

    def read(self, piece: bytes) -> Iterator[RunEvent]:
        """The events that are complete."""
        *lines, self.rest = (self.rest + piece).split(b"\n")
        for line in lines:
            if line.strip():
                name, _, value = line.decode().rstrip("\r").partition(":")
                self.fields[name] = value.removeprefix(" ")
            elif "data" in self.fields:
                yield self._event()
            else:
                self.fields.clear()

    def resumes(self) -> bool:
        """Whether the call goes on, from the last chunk that was received."""
        if self.over:
            return False
        self.breaks += 1
        if self.breaks > MOST_BREAKS:
            raise httpx.RemoteProtocolError("the events of the run break off again and again")
        self.rest = b""
        self.fields.clear()
        self.call = self.call.with_headers({"Last-Event-ID": str(self.last)})
        return True

    def _event(self) -> RunEvent:
        kind, data = self.fields.get("event", ""), self.fields["data"]
        event: RunEvent = read_as(KINDS[kind], data.encode())
        if isinstance(event, ChunkDone):
            self.last, self.breaks = event.number, 0
        self.over = kind == "end"
        self.fields.clear()
        return event
