"""Time budget of solver calls: for one portfolio, and for all portfolios of a call."""

import math
import time
from dataclasses import dataclass, field
from threading import Event


@dataclass(frozen=True, slots=True)
class TimeBudget:
    """Seconds from the moment of creation; another thread may interrupt it.

    Interrupting a budget interrupts all its shares.

    >>> TimeBudget(60.0).left_s > 59
    True
    """

    total_s: float = math.inf
    begin: float = field(default_factory=time.perf_counter)
    interruption: Event = field(default_factory=Event, repr=False, compare=False)

    @property
    def left_s(self) -> float:
        """Seconds left, at least 0."""
        return max(0.0, self.begin + self.total_s - time.perf_counter())

    @property
    def is_interrupted(self) -> bool:
        """Whether the caller has given up on the result."""
        return self.interruption.is_set()

    def interrupt(self) -> None:
        """Stop the running solver call, and start no further call."""
        self.interruption.set()

    def share(self, count: float, max_s: float = math.inf) -> "TimeBudget":
        """Allot one of ``count`` equal parts of the seconds left, at most ``max_s``."""
        return TimeBudget(min(max_s, self.left_s / count), interruption=self.interruption)
