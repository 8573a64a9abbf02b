"""Deadline: when the caller of what runs here stops waiting, by the clock of this process.

Clocks of machines differ, so what travels from one process to the next is how many seconds are left.
"""

import math
import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

MARGIN_S = 0.1
MARGIN_OF_LEFT = 0.05  # HiGHS looks at its clock between steps: up to 0.3 s late in 10 s
MARGIN_PER_PORTFOLIO_S = 0.001  # to verify, store and answer one; measured 0.7 ms
MAX_MARGIN = 0.5  # of what is left: a short deadline is not all margin

_deadline: ContextVar[float] = ContextVar("deadline", default=math.inf)


def remaining_s() -> float:
    """Seconds until the caller stops waiting, never below 0; infinite if it waits as long as it takes."""
    return max(0.0, _deadline.get() - time.monotonic())


def sendable_s() -> float | None:
    """``remaining_s`` as it is sent to another process; None where there is no deadline."""
    left = remaining_s()
    return None if math.isinf(left) else left


@contextmanager
def within(seconds: float | None) -> Generator[None]:
    """Let the deadline be so many seconds from now, if it is not sooner anyway."""
    at = math.inf if seconds is None else time.monotonic() + seconds
    token = _deadline.set(min(_deadline.get(), at))
    try:
        yield
    finally:
        _deadline.reset(token)


@contextmanager
def unbounded() -> Generator[None]:
    """Forget the deadline, for work that outlives the request which begins it."""
    token = _deadline.set(math.inf)
    try:
        yield
    finally:
        _deadline.reset(token)


@contextmanager
def reserved_for(portfolios: int) -> Generator[None]:
    """Let the deadline be sooner by what it takes to verify, store and answer so many portfolios."""
    left = remaining_s()
    if math.isinf(left):
        yield
        return
    margin = MARGIN_S + MARGIN_PER_PORTFOLIO_S * portfolios + MARGIN_OF_LEFT * left
    with within(left - min(margin, MAX_MARGIN * left)):
        yield


class Shares:
    """The time that is left, for pieces of work of which ``at_a_time`` go on beside each other.

    What a piece does not use is left for those after it.
    """

    def __init__(self, pieces: int, at_a_time: int) -> None:
        self._pieces = pieces
        self._at_a_time = at_a_time

    def next_s(self) -> float | None:
        """How long the next piece may take; None where there is no deadline."""
        left = remaining_s()
        rounds = max(1, math.ceil(self._pieces / self._at_a_time))
        self._pieces -= 1
        return None if math.isinf(left) else left / rounds
