"""A time budget that all calls of the solver for one portfolio share."""

import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Budget:
    """So many seconds from now on."""

    total_s: float
    begin: float = field(default_factory=time.perf_counter)

    @property
    def left_s(self) -> float:
        """What is left of it, never below 0."""
        return max(0.0, self.begin + self.total_s - time.perf_counter())
