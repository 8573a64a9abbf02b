"""The breaker alone, on a clock that the test moves."""

from dataclasses import dataclass

import pytest

from serve_app.upstream.breaker import Breaker
from serve_app.upstream.errors import CircuitOpenError
from serve_app.upstream.policy import TransientError


@dataclass
class Clock:
    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


def failing(breaker: Breaker) -> None:
    with pytest.raises(TransientError), breaker.admitted():
        raise TransientError("down", True, None)


def opened(clock: Clock) -> Breaker:
    breaker = Breaker("pricing", threshold=2, pause_s=10.0, clock=clock)
    failing(breaker)
    failing(breaker)
    return breaker


def test_failures_that_are_not_in_a_row_leave_the_circuit_closed() -> None:
    breaker = Breaker("pricing", threshold=2, pause_s=10.0)
    for _ in range(5):
        failing(breaker)
        with breaker.admitted():
            pass


def test_an_open_circuit_says_how_long_it_will_be() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now_s = 4.0

    with pytest.raises(CircuitOpenError) as caught, breaker.admitted():
        pass

    assert caught.value.retry_after_s == 6.0


def test_after_the_pause_one_call_probes_and_the_others_are_refused_meanwhile() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now_s = 10.0

    with breaker.admitted() as probe:
        assert probe
        with pytest.raises(CircuitOpenError), breaker.admitted():
            pass

    with breaker.admitted() as probe:
        assert not probe


def test_a_failed_probe_opens_the_circuit_for_another_pause() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now_s = 10.0
    failing(breaker)
    clock.now_s = 19.0

    with pytest.raises(CircuitOpenError) as caught, breaker.admitted():
        pass

    assert caught.value.retry_after_s == 1.0


def test_a_call_from_before_the_opening_neither_closes_nor_prolongs_it() -> None:
    clock = Clock()
    breaker = Breaker("pricing", threshold=1, pause_s=10.0, clock=clock)
    with breaker.admitted():
        failing(breaker)
        clock.now_s = 5.0

    with pytest.raises(CircuitOpenError) as caught, breaker.admitted():
        pass

    assert caught.value.retry_after_s == 5.0
