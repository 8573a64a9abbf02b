"""A request whose body is so long that another process reads and answers it, and what that process made.

Reading 16 MB of JSON takes half a second in which no other request of a process gets its turn, and so does
handing on what was read: the text itself goes there, and a text comes back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from starlette.responses import Response

LONG: Final = 250_000  # bytes, read in about 10 ms


@dataclass(frozen=True, slots=True)
class GivenText:
    """The body of a request, as it came, and what else its answer hangs on."""

    text: bytes
    path: str
    trade_date: str


@dataclass(frozen=True, slots=True)
class Written:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def of(cls, answer: Response) -> Self:
        """What is to be sent of it."""
        return cls(answer.status_code, dict(answer.headers), bytes(answer.body))

    def answer(self) -> Response:
        """The answer again."""
        return Response(self.body, self.status, self.headers)
