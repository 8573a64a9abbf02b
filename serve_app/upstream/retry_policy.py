"""Retry policy: bounds of the calls to an upstream, and the pauses between attempts."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER_S = 3600.0


@dataclass(frozen=True, slots=True)
class Policy:
    """Bounds of the calls to one upstream.

    ``total_s`` bounds one attempt; all attempts of a call and their pauses take at most twice as
    long. At most ``concurrency`` calls are under way; further calls wait. ``breaker_pause_s`` is
    the longest pause of the breaker. ``max_answer_bytes`` counts after inflation.
    """

    connect_s: float = 1.0
    total_s: float = 10.0
    tries: int = 3
    backoff_s: float = 0.2
    longest_backoff_s: float = 2.0
    concurrency: int = 16
    breaker_threshold: int = 5
    breaker_pause_s: float = 60.0
    max_answer_bytes: int = 4_000_000

    @property
    def budget_s(self) -> float:
        """Time for all attempts of one call and the pauses between them."""
        return 2 * self.total_s


class TransientError(Exception):
    """An attempt failed, but another attempt may succeed."""

    def __init__(self, detail: str, is_counted: bool, retry_after_s: float | None) -> None:
        super().__init__(detail, is_counted, retry_after_s)
        self.detail = detail
        self.is_counted = is_counted
        self.retry_after_s = retry_after_s


class CutShortError(TransientError):
    """The answer of an attempt began and broke off."""


class NotSentError(TransientError):
    """The connection of an attempt could not be made, so nothing of the request was sent."""


def build_retry_hook(policy: Policy, deadline: float) -> Callable[[Exception], bool | float]:
    """Build the retry hook for stamina: Retry-After or else full jitter; False to give up."""
    ceiling_s = policy.backoff_s

    def choose_pause_s(error: Exception) -> bool | float:
        nonlocal ceiling_s
        if not isinstance(error, TransientError):
            return False
        wait_s = random.uniform(0, ceiling_s)  # noqa: S311 - spreads load, guards nothing
        ceiling_s = min(2 * ceiling_s, policy.longest_backoff_s)
        if error.retry_after_s is not None:
            wait_s = error.retry_after_s
        return wait_s if time.monotonic() + wait_s < deadline else False

    return choose_pause_s


def read_retry_after_s(value: str | None) -> float | None:
    """Read the Retry-After header, a number or a date, as seconds; at most an hour."""
    if value is None:
        return None
    if value.isdecimal():
        return min(float(value), MAX_RETRY_AFTER_S)
    try:
        wait = parsedate_to_datetime(value).astimezone(UTC) - datetime.now(UTC)
    except (OverflowError, ValueError):
        return None
    return min(max(wait.total_seconds(), 0.0), MAX_RETRY_AFTER_S)
