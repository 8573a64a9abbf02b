"""Breaker: leaves an upstream alone after too many failed calls in a row."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from serve_app.upstream.errors import CircuitOpenError, UpstreamContractError
from serve_app.upstream.policy import TransientError


class Breaker:
    """Closed, then open after ``threshold`` failed calls in a row, then half-open after ``pause_s``.

    Half-open admits exactly one call, the probe, however many callers wait; its outcome closes the
    circuit or opens it for another pause. A call that began before the circuit opened changes nothing.
    """

    def __init__(
        self,
        upstream: str,
        threshold: int,
        pause_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._upstream = upstream
        self._threshold = threshold
        self._pause_s = pause_s
        self._clock = clock
        self._failures = 0
        self._opened_at: float | None = None
        self._probing = False

    @property
    def is_closed(self) -> bool:
        """Whether calls pass freely; after the pause the next one is the probe, and passes alone."""
        return self._opened_at is None

    @contextmanager
    def admitted(self) -> Generator[bool]:
        """One call, which learns whether it is the probe; CircuitOpenError where none may pass."""
        probe = self._admit()
        failed = None  # a call that is cancelled has no outcome
        try:
            yield probe
            failed = False
        except TransientError as error:
            failed = error.counted
            raise
        except UpstreamContractError:
            failed = False
            raise
        finally:
            self._settle(probe, failed)

    def require_closed(self) -> None:
        """Refuse the next try of a call that was admitted before the circuit opened."""
        if self._opened_at is not None:
            raise self._refusal()

    def _admit(self) -> bool:
        if self._opened_at is None:
            return False
        if self._probing or self._left_s() > 0:
            raise self._refusal()
        self._probing = True
        return True

    def _settle(self, probe: bool, failed: bool | None) -> None:
        if probe:
            self._probing = False
        if failed is None:
            return
        if probe:
            self._opened_at = self._clock() if failed else None
            self._failures = 0
        elif self._opened_at is None:
            self._failures = self._failures + 1 if failed else 0
            if self._failures >= self._threshold:
                self._opened_at = self._clock()

    def _left_s(self) -> float:
        opened_at = self._clock() if self._opened_at is None else self._opened_at
        return opened_at + self._pause_s - self._clock()

    def _refusal(self) -> CircuitOpenError:
        detail = f"{self._threshold} calls in a row failed; it is asked again after a pause"
        return CircuitOpenError(self._upstream, detail, max(self._left_s(), 1.0))
