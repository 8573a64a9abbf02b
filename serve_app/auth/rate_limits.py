"""Rate limit of each principal, kept by one replica of the ingress.

Replicas do not share their counts, because each request would have to wait for the database. So a
caller whose requests reach several replicas may send as many times the limit.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from serve_app.auth.errors import RateExceededError

SECOND_NS: Final = 1_000_000_000
BURST_NS: Final = 10 * SECOND_NS
MINUTE_NS: Final = 60 * SECOND_NS
MAX_PRINCIPALS: Final = 10_000


class RateLimiter:
    """Token bucket of each principal, which holds the requests of ten seconds, at least one.

    A bucket is kept as the time at which it is full again (the generic cell rate algorithm), so
    nothing has to refill it. Beyond 10,000 principals the least recently used bucket is dropped,
    and its principal begins with a full one.
    """

    def __init__(
        self, requests_per_minute: int, *, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        # The times are whole nanoseconds, because sums of fractions of a second are not exact.
        self._interval_ns = MINUTE_NS // requests_per_minute
        self._tolerance_ns = max(0, BURST_NS - self._interval_ns)
        self._clock = clock
        self._full_at: OrderedDict[str, int] = OrderedDict()

    def take(self, principal: str) -> None:
        """Count a request of this principal; raise RateExceededError if its bucket is empty."""
        now = self._clock()
        full_at = max(now, self._full_at.get(principal, now))
        wait_ns = full_at - now - self._tolerance_ns
        if wait_ns > 0:  # it is not counted, otherwise retries would delay their success
            raise RateExceededError(principal, wait_ns / SECOND_NS)
        self._full_at[principal] = full_at + self._interval_ns
        self._full_at.move_to_end(principal)
        if len(self._full_at) > MAX_PRINCIPALS:
            self._full_at.popitem(last=False)
