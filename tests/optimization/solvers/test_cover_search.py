"""Sets of chords, by hand. Parts are tenths of a unit: a full step costs 10 a unit."""

import pytest

from optimization.solvers import cover_search as module
from optimization.solvers.cover_search import Chords, FractionalCover, candidate_sets
from optimization.solvers.subset_sum import TooManySumsError

PARTS = 10


def chords(*pairs: tuple[int, int]) -> Chords:
    """A chord is (units freed, drift in tenths of a unit), in order of their ratio."""
    return Chords(*zip(*pairs, strict=True), PARTS)


TWO = chords((7, 20), (10, 30))
THREE = chords((10, 5), (10, 50), (10, 99))


@pytest.mark.parametrize(
    ("shortfall", "first", "least"),
    [
        (-3, 0, 0),
        (0, 0, 0),
        (1, 0, 20 / 7),  # a seventh of the first
        (7, 0, 20),
        (12, 0, 35),  # and half of the second
        (17, 0, 50),
        (20, 0, 80),  # and three units of full steps
        (5, 1, 15),  # half of the second
        (12, 1, 50),
        (12, 2, 120),
        (0, 2, 0),
    ],
)
def test_the_relaxation_takes_chords_by_their_ratio_and_then_full_steps(
    shortfall: int, first: int, least: float
):
    relaxation = FractionalCover.from_chords(TWO)

    assert relaxation.least_drift(shortfall, first) == pytest.approx(least)


@pytest.mark.parametrize(
    ("shortfall", "ratio"), [(1, 20 / 7), (7, 20 / 7), (8, 3), (17, 3), (18, PARTS)]
)
def test_the_break_is_at_the_chord_that_is_taken_in_part(shortfall: int, ratio: float):
    assert FractionalCover.from_chords(TWO).break_ratio(shortfall) == ratio


@pytest.mark.parametrize(
    ("best", "found"),
    [
        # Both cost 50, the second and two units of full steps cost 30 + 20; the first alone 20 +
        # 50.
        (60, [(50, (0, 1)), (30, (1,))]),
        (51, [(50, (0, 1)), (30, (1,))]),
        (50, []),
        (71, [(50, (0, 1)), (30, (1,)), (20, (0,))]),
    ],
)
def test_a_set_that_could_be_cheaper_than_the_best_cover_is_a_candidate(
    best: int, found: list[tuple[int, tuple[int, ...]]]
):
    assert candidate_sets(TWO, 12, best) == found


def test_reduced_costs_take_what_is_cheap_and_leave_what_is_dear():
    # 15 are 5 + 25 at best. Without the first 45 more, with the third 49 more: 60 is out of reach
    # then.
    assert candidate_sets(THREE, 15, 60) == [(55, (0, 1)), (5, (0,))]
    assert candidate_sets(THREE, 15, 55) == []


def test_a_dominated_set_is_not_kept():
    # 8 for 30 frees less than 10 for 30.
    assert candidate_sets(chords((10, 30), (8, 30)), 10, 100) == [(30, (0,))]
    assert candidate_sets(chords((10, 30), (8, 30)), 11, 65) == [(30, (0,)), (60, (0, 1))]


def test_numbers_beyond_floats_leave_room_for_one_part_less():
    huge = 10**15
    large = chords((7 * huge, 20 * huge), (10 * huge, 30 * huge))

    found = candidate_sets(large, 12 * huge, 50 * huge + 1)

    assert found == [(50 * huge, (0, 1)), (30 * huge, (1,))]


def test_too_many_states_are_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_STATES", 2)
    assert len(candidate_sets(TWO, 12, 60)) == 2

    with pytest.raises(TooManySumsError):
        candidate_sets(TWO, 12, 71)


def test_chords_know_what_some_of_them_free_and_cost():
    assert (THREE.cash_raised((0, 2)), THREE.cost((0, 2))) == (20, 104)
    assert THREE.select([2, 0]).drift == [99, 5]
