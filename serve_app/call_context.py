"""Context of a call: its correlation id, caller and deadline, in every process that works on it.

The deadline is the moment the current caller stops waiting, by the clock of this process. Processes
send each other the seconds that remain, because clocks of machines differ.
"""

import asyncio
import math
import re
import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

from storage.audit.author import Author

# Blanks and control characters are refused, because ids go into log lines and request headers.
ID = re.compile(r"[A-Za-z0-9._~:/+=@-]{1,128}")
TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")  # format of the W3C

MARGIN_S = 0.1
MARGIN_OF_LEFT = 0.05  # because HiGHS checks its clock between steps: 0.3 s late in 10 s
MARGIN_PER_PORTFOLIO_S = 0.001  # time to verify, store and answer a portfolio; measured 0.7 ms
MIN_LEFT = 0.1  # share of the time of a task that no clock of another node takes away
MAX_MARGIN = 0.5  # share of what remains, otherwise a short deadline would be all margin

correlation_id: ContextVar[str] = ContextVar("correlation_id", default="")
request_id: ContextVar[str] = ContextVar("request_id", default="")
principal: ContextVar[str] = ContextVar("principal", default="")
traceparent: ContextVar[str] = ContextVar("traceparent", default="")  # the open span's
_deadline: ContextVar[float] = ContextVar("deadline", default=math.inf)


def choose_correlation_id(sent_id: str | None) -> str:
    """Return the caller's id if it is valid, else a new id."""
    return sent_id if sent_id and ID.fullmatch(sent_id) else uuid.uuid4().hex


def choose_traceparent(header: str | None) -> str:
    """Return the caller's place in its trace if it is well formed, else an empty string."""
    return header if header and TRACEPARENT.fullmatch(header) else ""


def find_author() -> Author:
    """Return the author of what this call changes: its principal and its correlation id."""
    return Author(principal=principal.get() or None, correlation_id=correlation_id.get() or None)


def require_caller() -> None:
    """Raise CancelledError if the caller of this task has left.

    Call it after a database operation, because the driver may swallow the cancellation.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def remaining_s() -> float:
    """Return the seconds until the caller stops waiting, at least 0; infinity if it never does."""
    return max(0.0, _deadline.get() - time.monotonic())


def sendable_s() -> float | None:
    """Return ``remaining_s`` as sent to another process; None without a deadline."""
    remaining = remaining_s()
    return None if math.isinf(remaining) else remaining


@contextmanager
def set_deadline(seconds: float | None) -> Generator[None]:
    """Set the deadline to so many seconds from now, unless it is sooner already."""
    at = math.inf if seconds is None else time.monotonic() + seconds
    token = _deadline.set(min(_deadline.get(), at))
    try:
        yield
    finally:
        _deadline.reset(token)


@contextmanager
def lift_deadline() -> Generator[None]:
    """Lift the deadline, for work that outlives the request that begins it."""
    token = _deadline.set(math.inf)
    try:
        yield
    finally:
        _deadline.reset(token)


@contextmanager
def reserve_time(portfolios: int) -> Generator[None]:
    """Advance the deadline by the time to verify, store and answer so many portfolios."""
    remaining = remaining_s()
    if math.isinf(remaining):
        yield
        return
    margin = MARGIN_S + MARGIN_PER_PORTFOLIO_S * portfolios + MARGIN_OF_LEFT * remaining
    with set_deadline(remaining - min(margin, MAX_MARGIN * remaining)):
        yield


class TimeSplit:
    """Remaining time, divided among pieces of work, ``at_a_time`` of them concurrent.

    Time that a piece does not use goes to later pieces.
    """

    def __init__(self, pieces: int, at_a_time: int) -> None:
        self._pieces = pieces
        self._at_a_time = at_a_time

    def next_s(self) -> float | None:
        """Return the seconds for the next piece; None without a deadline."""
        remaining = remaining_s()
        rounds = max(1, math.ceil(self._pieces / self._at_a_time))
        self._pieces -= 1
        return None if math.isinf(remaining) else remaining / rounds


@dataclass(frozen=True, slots=True)
class CallContext:
    """Correlation id of a call, the seconds until its caller stops waiting, and the caller's name.

    ``within_s`` is None without a limit, ``principal`` empty if nobody was authenticated, and
    ``traceparent`` without traces. It travels with the call to another process, which counts the
    seconds from its arrival; with ``due_at``, a time by the wall clock, from its departure.
    """

    correlation_id: str = ""
    within_s: float | None = None
    principal: str = ""
    traceparent: str = ""
    due_at: float | None = None

    @staticmethod
    def capture() -> "CallContext":
        """Return the context of the call that runs here."""
        return CallContext(correlation_id.get(), sendable_s(), principal.get(), traceparent.get())

    @staticmethod
    def capture_for_worker() -> "CallContext":
        """Return the context for a task whose deadline includes the start of its worker.

        The deadline is a time of the wall clock, because the task arrives once its worker has
        started, and the caller waits those seconds, too.
        """
        context = CallContext.capture()
        if context.within_s is None:
            return context
        return replace(context, due_at=time.time() + context.within_s)

    @contextmanager
    def activate(self) -> Generator[None]:
        """Run the block in this context."""
        token, caller = correlation_id.set(self.correlation_id), principal.set(self.principal)
        parent = traceparent.set(self.traceparent)
        try:
            with set_deadline(self._count_left_s()):
                yield
        finally:
            traceparent.reset(parent)
            principal.reset(caller)
            correlation_id.reset(token)

    def _count_left_s(self) -> float | None:
        if self.within_s is None or self.due_at is None:
            return self.within_s
        # The time is bounded, because the clocks of two nodes may differ.
        return max(self.within_s * MIN_LEFT, min(self.within_s, self.due_at - time.time()))
