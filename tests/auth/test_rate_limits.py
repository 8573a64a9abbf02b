"""Rate limit of principals: a burst, then a steady rate, for each on its own."""

import math

import pytest

from serve_app.auth import rate_limits
from serve_app.auth.errors import RateExceededError
from serve_app.auth.rate_limits import SECOND_NS, RateLimiter


class Clock:
    """Clock that moves when a test says so."""

    def __init__(self) -> None:
        self.now_ns = 1000 * SECOND_NS

    def __call__(self) -> int:
        return self.now_ns


def passed(limiter: RateLimiter, principal: str = "desk", attempts: int = 1000) -> int:
    """Count the requests that are let through before the first refusal."""
    for number in range(attempts):
        try:
            limiter.take(principal)
        except RateExceededError:
            return number
    return attempts


@pytest.mark.parametrize(("per_minute", "burst"), [(600, 100), (60, 10), (6, 1), (1, 1)])
def test_a_bucket_holds_the_requests_of_ten_seconds_and_at_least_one(
    per_minute: int, burst: int
) -> None:
    assert passed(RateLimiter(per_minute, clock=Clock())) == burst


@pytest.mark.parametrize("per_minute", [1, 6, 60, 600])
def test_a_steady_caller_gets_the_rate_whatever_else_it_tries(per_minute: int) -> None:
    clock = Clock()
    limiter = RateLimiter(per_minute, clock=clock)
    passed(limiter)
    let_through = 0
    for _ in range(10 * 60):
        clock.now_ns += SECOND_NS
        let_through += passed(limiter)

    assert let_through == 10 * per_minute


@pytest.mark.parametrize("per_minute", [1, 7, 60, 601])
def test_a_refused_caller_succeeds_after_the_wait_that_it_is_told(per_minute: int) -> None:
    clock = Clock()
    limiter = RateLimiter(per_minute, clock=clock)
    passed(limiter)
    with pytest.raises(RateExceededError) as refused:
        limiter.take("desk")

    clock.now_ns += math.ceil(refused.value.retry_after_s * SECOND_NS)
    assert passed(limiter) == 1


def test_a_rest_fills_the_bucket_and_no_more() -> None:
    clock = Clock()
    limiter = RateLimiter(60, clock=clock)
    passed(limiter)
    clock.now_ns += 3600 * SECOND_NS

    assert passed(limiter) == 10


def test_principals_do_not_share_a_bucket() -> None:
    limiter = RateLimiter(60, clock=Clock())
    passed(limiter)

    assert passed(limiter, "reporting") == 10


def test_the_number_of_buckets_is_bounded_and_the_least_used_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rate_limits, "MAX_PRINCIPALS", 2)
    limiter = RateLimiter(60, clock=Clock())
    for principal in ("desk", "reporting", "nightly"):
        passed(limiter, principal)

    assert (passed(limiter, "nightly"), passed(limiter, "reporting")) == (0, 0)
    assert passed(limiter, "desk") == 10
