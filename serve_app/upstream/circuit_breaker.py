"""Circuit breaker: refuses calls to an upstream while its calls keep failing."""

import logging
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from enum import StrEnum

from serve_app.upstream.errors import CircuitOpenError, UpstreamContractError
from serve_app.upstream.retry_policy import TransientError

FIRST_PAUSE_S = 1.0
SECONDS_PER_THRESHOLD = 2

logger = logging.getLogger(__name__)


class BreakerState(StrEnum):
    """State of a circuit: calls pass, no call passes, or the next call is the probe."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """Circuit breaker of one upstream, by its failures in a sliding window.

    A second is bad if at least half of the calls under way in it failed, so concurrent failures
    count once and a hanging call counts for as long as it hung. The circuit opens after
    ``threshold`` bad seconds within twice as many seconds. The first pause is short, because most
    outages are; each failed probe doubles it, up to ``max_pause_s``. After a pause exactly one call
    passes, the probe: its success closes the circuit. A call that began before the opening changes
    nothing.
    """

    def __init__(
        self,
        upstream: str,
        threshold: int,
        max_pause_s: float,
        clock: Callable[[], float] = time.monotonic,
        on_open: Callable[[str], None] | None = None,
    ) -> None:
        self._upstream = upstream
        self._threshold = threshold
        self._window_s = SECONDS_PER_THRESHOLD * threshold
        self._max_pause_s = max_pause_s
        self._clock = clock
        self._on_open = on_open
        self._calls: dict[int, tuple[int, int]] = {}  # failed and succeeded calls by second
        self._closed_at = clock()
        self._opened_at: float | None = None
        self._pause_s = 0.0
        self._is_probing = False

    @property
    def state(self) -> BreakerState:
        """Current state; half-open means that at most the next call passes."""
        if self._opened_at is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self._remaining_s() > 0 else BreakerState.HALF_OPEN

    @property
    def is_closed(self) -> bool:
        """True if calls pass freely; after a pause the next call is the probe, and passes alone."""
        return self._opened_at is None

    @contextmanager
    def admit(self) -> Generator[bool]:
        """Admit one call and yield whether it is the probe; CircuitOpenError if it may not pass."""
        probe = self._claim_probe()
        began_at = self._clock()
        is_failure = None  # because a cancelled call has no outcome
        try:
            yield probe
            is_failure = False
        except TransientError as error:
            is_failure = error.is_counted
            raise
        except UpstreamContractError:
            is_failure = False
            raise
        finally:
            self._settle(began_at, probe, is_failure)

    def require_closed(self) -> None:
        """Raise CircuitOpenError for the next attempt of a call admitted before the opening."""
        if self._opened_at is not None:
            raise self._build_error()

    def _claim_probe(self) -> bool:
        if self._opened_at is None:
            return False
        if self._is_probing or self._remaining_s() > 0:
            raise self._build_error()
        self._is_probing = True
        return True

    def _settle(self, began_at: float, probe: bool, is_failure: bool | None) -> None:
        if probe:
            self._is_probing = False
        if is_failure is None:
            return
        if probe and is_failure:
            self._open(min(2 * self._pause_s, self._max_pause_s))
        elif probe:
            self._close()
        elif self._opened_at is None:
            self._count(began_at, is_failure)
            if self._count_bad_seconds() >= self._threshold:
                self._open(min(FIRST_PAUSE_S, self._max_pause_s))
                logger.warning("circuit to the %s service opened", self._upstream)
                if self._on_open is not None:
                    self._on_open(self._upstream)

    def _count(self, began_at: float, is_failure: bool) -> None:
        """Count a call in each second of the window in which it was under way."""
        second = int(self._clock())
        oldest = second - self._window_s + 1
        for expired_second in [past_second for past_second in self._calls if past_second < oldest]:
            del self._calls[expired_second]
        # Earlier seconds do not count, because they belong to the outage that is over.
        first_second = int(max(began_at, self._closed_at))
        for call_second in range(max(first_second, oldest), second + 1):
            failures, successes = self._calls.get(call_second, (0, 0))
            self._calls[call_second] = (failures + is_failure, successes + (not is_failure))

    def _count_bad_seconds(self) -> int:
        return sum(failures >= max(successes, 1) for failures, successes in self._calls.values())

    def _open(self, pause_s: float) -> None:
        """Let no call pass for ``pause_s``; a call also keeps an open circuit open."""
        self._opened_at = self._clock()
        self._pause_s = pause_s
        self._calls.clear()

    def _close(self) -> None:
        self._opened_at = None
        self._closed_at = self._clock()
        logger.warning("circuit to the %s service closed", self._upstream)

    def _remaining_s(self) -> float:
        opened_at = self._clock() if self._opened_at is None else self._opened_at
        return opened_at + self._pause_s - self._clock()

    def _build_error(self) -> CircuitOpenError:
        detail = (
            f"calls failed in {self._threshold} of the last {self._window_s} seconds; "
            f"it is asked again after a pause"
        )
        return CircuitOpenError(self._upstream, detail, max(self._remaining_s(), 1.0))
