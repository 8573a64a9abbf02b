"""A time budget: for all calls of the solver that one portfolio needs, and for all portfolios of a call."""

import math
import time
from dataclasses import dataclass, field
from threading import Event


@dataclass(frozen=True, slots=True)
class Budget:
    """So many seconds from now on, or fewer if another thread interrupts it.

    The shares of a budget are interrupted with it.
    """

    total_s: float = math.inf
    begin: float = field(default_factory=time.perf_counter)
    interruption: Event = field(default_factory=Event, repr=False, compare=False)

    @property
    def left_s(self) -> float:
        """What is left of it, never below 0."""
        return max(0.0, self.begin + self.total_s - time.perf_counter())

    @property
    def is_interrupted(self) -> bool:
        """Whether nobody waits for the result any longer."""
        return self.interruption.is_set()

    def interrupt(self) -> None:
        """End the running call of the solver; no other one begins."""
        self.interruption.set()

    def share(self, count: float, most_s: float = math.inf) -> "Budget":
        """One of ``count`` equal parts of what is left, of at most ``most_s`` seconds."""
        return Budget(min(most_s, self.left_s / count), interruption=self.interruption)
