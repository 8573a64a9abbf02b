"""Circuit breaker alone, on a clock that the test moves."""

from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field

import pytest

from serve_app.upstream.circuit_breaker import Breaker, BreakerState
from serve_app.upstream.errors import CircuitOpenError, UpstreamContractError
from serve_app.upstream.retry_policy import TransientError

DOWN = TransientError("down", True, None)


@dataclass
class Clock:
    now_s: float = 1000.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Upstream:
    """Upstream with a breaker, and the calls through it."""

    threshold: int = 5
    max_pause_s: float = 60.0
    clock: Clock = field(default_factory=Clock)
    openings: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.breaker = Breaker(
            "pricing", self.threshold, self.max_pause_s, self.clock, self.openings.append
        )

    def fails(self, calls: int = 1, after_s: float = 0.0) -> None:
        """Make concurrent calls that all fail after ``after_s``."""
        self._calls(calls, after_s, DOWN)

    def answers(self, calls: int = 1, after_s: float = 0.0) -> None:
        """Make concurrent calls that all succeed."""
        self._calls(calls, after_s, None)

    def is_refused(self) -> float:
        """Return the seconds after which to retry."""
        with pytest.raises(CircuitOpenError) as caught, self.breaker.admit():
            pass
        return caught.value.retry_after_s

    def opens(self) -> None:
        """Fail calls until the circuit is open."""
        while self.breaker.is_closed:
            self.fails()
            self.clock.now_s += 1

    def _calls(self, calls: int, after_s: float, error: Exception | None) -> None:
        begun = [self.breaker.admit() for _ in range(calls)]
        for call in begun:
            call.__enter__()
        self.clock.now_s += after_s
        for call in begun:
            end(call, error)


def end(call: AbstractContextManager[bool], error: Exception | None = None) -> None:
    """End a call that began before."""
    with suppress(TransientError), ExitStack() as ending:
        ending.push(call)
        if error is not None:
            raise error


def test_concurrent_failures_of_one_blip_leave_the_circuit_closed() -> None:
    upstream = Upstream()

    upstream.fails(calls=16, after_s=0.7)
    upstream.fails(calls=200, after_s=0.6)

    assert upstream.breaker.state is BreakerState.CLOSED
    assert upstream.openings == []


def test_any_number_of_short_blips_among_answers_leaves_the_circuit_closed() -> None:
    upstream = Upstream()
    for _ in range(100):
        upstream.fails(calls=16, after_s=0.7)
        for _ in range(5):
            upstream.clock.now_s += 1
            upstream.answers()

    assert upstream.breaker.state is BreakerState.CLOSED


def test_failures_in_as_many_seconds_as_the_threshold_open_the_circuit() -> None:
    upstream = Upstream()
    for _ in range(4):
        upstream.fails(calls=16)
        upstream.clock.now_s += 1
    assert upstream.breaker.state is BreakerState.CLOSED

    upstream.fails()

    assert upstream.breaker.state is BreakerState.OPEN
    assert upstream.openings == ["pricing"]


def test_an_upstream_that_hangs_opens_the_circuit_with_the_first_calls_that_end() -> None:
    upstream = Upstream()

    upstream.fails(calls=1, after_s=20.0)

    assert upstream.breaker.state is BreakerState.OPEN


def test_one_hanging_portfolio_among_others_that_are_answered_costs_nobody_anything() -> None:
    upstream = Upstream()
    hanging = upstream.breaker.admit()
    hanging.__enter__()
    for _ in range(20):
        upstream.answers()
        upstream.answers()
        upstream.clock.now_s += 1
    end(hanging, DOWN)

    assert upstream.breaker.state is BreakerState.CLOSED


def test_a_failure_rate_below_one_half_leaves_the_circuit_closed() -> None:
    upstream = Upstream()
    for _ in range(60):
        upstream.fails(calls=4)
        upstream.answers(calls=5)
        upstream.clock.now_s += 1

    assert upstream.breaker.state is BreakerState.CLOSED


def test_an_outage_opens_the_circuit_whatever_was_answered_before() -> None:
    upstream = Upstream()
    for _ in range(3600):
        upstream.answers(calls=20)
        upstream.clock.now_s += 1
    for _ in range(5):
        upstream.clock.now_s += 1
        upstream.fails(calls=20)

    assert upstream.breaker.state is BreakerState.OPEN


def test_failures_that_are_far_apart_leave_the_circuit_closed() -> None:
    upstream = Upstream()
    for _ in range(100):
        upstream.fails()
        upstream.clock.now_s += 3

    assert upstream.breaker.state is BreakerState.CLOSED


def test_an_answer_that_breaks_the_contract_is_no_failure_of_the_connection() -> None:
    upstream = Upstream(threshold=1)

    with pytest.raises(UpstreamContractError), upstream.breaker.admit():
        raise UpstreamContractError("pricing", "odd")

    assert upstream.breaker.state is BreakerState.CLOSED


def test_pauses_begin_with_a_second_and_double_up_to_the_longest() -> None:
    upstream = Upstream(max_pause_s=10.0)
    upstream.opens()
    upstream.clock.now_s -= 1  # back to the moment of the opening
    pauses: list[float] = []
    for _ in range(6):
        pauses.append(upstream.is_refused())
        upstream.clock.now_s += pauses[-1]
        upstream.fails()

    assert pauses == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_after_a_recovery_pauses_begin_with_a_second_again() -> None:
    upstream = Upstream()
    upstream.opens()
    upstream.fails()
    upstream.clock.now_s += 2
    upstream.answers()
    upstream.opens()
    upstream.clock.now_s -= 1

    assert upstream.is_refused() == 1.0


def test_what_failed_before_a_recovery_does_not_open_the_circuit_again() -> None:
    upstream = Upstream()
    late = upstream.breaker.admit()
    late.__enter__()
    upstream.opens()
    upstream.answers()
    end(late, DOWN)

    assert upstream.breaker.state is BreakerState.CLOSED


def test_an_outage_is_one_opening_in_the_log_and_in_the_count_however_many_probes_fail(
    caplog: pytest.LogCaptureFixture,
) -> None:
    upstream = Upstream()
    upstream.opens()
    for _ in range(5):
        upstream.clock.now_s += upstream.max_pause_s
        upstream.fails()
    assert upstream.openings == ["pricing"]

    upstream.clock.now_s += upstream.max_pause_s
    upstream.answers()
    upstream.opens()

    assert upstream.openings == ["pricing", "pricing"]
    logged = [message for message in caplog.messages if "opened" in message]
    assert logged == ["circuit to the pricing service opened"] * 2


def test_an_open_circuit_says_how_long_it_will_be() -> None:
    upstream = Upstream(threshold=1)
    upstream.fails()
    upstream.clock.now_s += 1
    upstream.fails()
    upstream.clock.now_s += 0.5

    assert upstream.is_refused() == 1.5


def test_after_the_pause_one_call_probes_and_the_others_are_refused_meanwhile() -> None:
    upstream = Upstream()
    upstream.opens()
    assert upstream.breaker.state is BreakerState.HALF_OPEN

    with upstream.breaker.admit() as probe:
        assert probe
        for _ in range(10):
            upstream.is_refused()

    with upstream.breaker.admit() as probe:
        assert not probe
    assert upstream.breaker.state is BreakerState.CLOSED


def test_a_call_from_before_the_opening_neither_closes_nor_prolongs_it() -> None:
    upstream = Upstream(threshold=1)
    upstream.fails()
    upstream.clock.now_s += 1
    with upstream.breaker.admit():
        pass
    early = upstream.breaker.admit()
    early.__enter__()
    upstream.fails()
    upstream.clock.now_s += 0.25
    end(early)

    assert upstream.breaker.state is BreakerState.OPEN
    upstream.clock.now_s += 0.75
    assert upstream.breaker.state is BreakerState.HALF_OPEN
