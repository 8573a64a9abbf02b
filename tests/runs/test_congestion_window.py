"""Congestion window: the number of tasks under way at a time."""

import pytest

from serve_app.runs.congestion_window import CongestionWindow


def test_a_window_begins_as_wide_as_it_may_be_and_grows_no_wider() -> None:
    window = CongestionWindow(64)
    window.widen()
    assert window.size == 64


def test_a_failure_halves_the_window() -> None:
    window = CongestionWindow(64)
    sizes = []
    for _ in range(3):
        window.narrow()
        sizes.append(window.size)
    assert sizes == [32, 16, 8]


def test_something_is_always_under_way() -> None:
    window = CongestionWindow(4)
    for _ in range(20):
        window.narrow()
    assert window.size == 1


@pytest.mark.parametrize("size", [1, 4, 16])
def test_a_window_of_successes_makes_room_for_one_more(size: int) -> None:
    window = CongestionWindow(2 * size)
    window.narrow()
    for _ in range(size + 1):
        window.widen()
    assert window.size == size + 1


def test_after_a_failure_the_window_comes_back_to_its_width() -> None:
    window = CongestionWindow(16)
    window.narrow()
    for _ in range(16 * 16):
        window.widen()
    assert window.size == 16
