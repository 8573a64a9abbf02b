"""The exact verification behind every answer, against numbers worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from optimization.domain.certificate import Certificate, Method, Proof
from optimization.exact.block import Block
from optimization.exact.verification import violated_constraints
from tests.optimization.support.blocks import block

BAND = (10, 315, 100, 200, 4)  # of 2000: 630, from 430 to 1030 in lots of 10
KEPT = [False, False, False]
SHORT, OUT_OF_BAND, OVERDRAWN = 0, 1, 2


def verdict(made: Block, *lots: int) -> list[bool]:
    """List the violations of a plan: short, out of a band, overdrawn."""
    return violated_constraints(made, np.array([lots], dtype=made.lot_value.dtype))[0].tolist()


@pytest.mark.parametrize("dtype", [np.int64, object])
@pytest.mark.parametrize(("lots", "kept"), [(42, False), (43, True), (103, True), (104, False)])
def test_both_edges_belong_to_a_band_and_nothing_beyond(lots: int, kept: bool, dtype: object):
    found = verdict(block(2000, BAND, dtype=dtype), lots)

    assert found == [False, not kept, False]


def test_edges_between_whole_units_are_not_rounded():
    # 0.43 and 1.03 of 2001 are 860.43 and 2061.03 tenths
    narrow = block(2001, (1, 315, 100, 200, 0))

    assert [verdict(narrow, lots)[OUT_OF_BAND] for lots in (430, 431, 1030, 1031)] == [
        True,
        False,
        False,
        True,
    ]


def test_one_band_of_several_is_enough():
    two = block(2000, BAND, BAND)

    assert verdict(two, 50, 50) == KEPT
    assert verdict(two, 50, 42) == [False, True, False]
    assert verdict(two, 104, 43)[OUT_OF_BAND]


def test_the_remainder_below_a_lot_counts_in_the_band_and_in_cash():
    rest = replace(block(2000, BAND), remainder=np.array([[7]]))

    assert verdict(rest, 42) == [False, True, False]  # 427
    assert verdict(rest, 102) == KEPT  # 1027
    assert verdict(rest, 103) == [False, True, False]  # 1037
    assert verdict(replace(rest, investable=np.array([1026])), 102) == [False, False, True]
    assert verdict(replace(rest, investable=np.array([1027])), 102) == KEPT


def test_short_positions_are_found_whatever_the_band():
    wide = block(2000, (10, 0, 1000, 1000, 0))

    assert verdict(wide, 0) == KEPT
    assert verdict(wide, -1)[SHORT]


def test_all_positions_together_may_be_worth_the_investable_amount_and_no_more():
    two = replace(block(2000, BAND, BAND), investable=np.array([1000]))

    assert verdict(two, 50, 50) == KEPT
    assert verdict(two, 50, 51) == [False, False, True]


def test_a_holding_outside_the_model_is_sold_but_for_what_is_below_a_lot():
    outside = replace(block(2000, (10, 0, 0, 0, 4)), remainder=np.array([[7]]))

    assert verdict(outside, 0) == KEPT
    assert verdict(outside, 1) == [False, True, False]


def test_a_holding_outside_the_model_that_may_not_be_sold_is_kept():
    outside = block(2000, (10, 0, 0, 0, 4), (10, 0, 0, 0, 0))
    kept = outside.with_bounds(np.array([[4, 0]]), np.array([[4, 9]]))

    assert verdict(kept, 4, 0) == KEPT
    assert verdict(kept, 4, 1) == [False, True, False]
    assert verdict(kept, 3, 0) == [False, True, False]


def test_a_short_holding_outside_the_model_may_only_be_bought_back():
    outside = block(2000, (10, 0, 0, 0, -4)).with_bounds(np.array([[-4]]), np.array([[9]]))

    assert verdict(outside, 0) == KEPT
    assert verdict(outside, -4)[SHORT]


def test_a_security_of_the_model_has_no_such_allowance():
    # A target of nothing with a band up to 20 is a target all the same.
    target = block(2000, (10, 0, 0, 10, 4)).with_bounds(np.array([[4]]), np.array([[9]]))

    assert verdict(target, 4) == [False, True, False]
    without_room_above = replace(block(2000, (10, 1, 1, 0, 0)), remainder=np.array([[7]]))
    assert verdict(without_room_above, 0) == [False, True, False]


@pytest.mark.parametrize(("lots", "kept"), [(44, False), (45, True), (60, True), (61, False)])
def test_restrictions_bind_inside_a_band(lots: int, kept: bool):
    made = block(2000, BAND).with_bounds(np.array([[45]]), np.array([[60]]))

    assert verdict(made, lots) == [False, not kept, False]


def test_portfolios_are_judged_each_on_its_own():
    made = block(2000, BAND)
    two = replace(
        made,
        before=np.array([[4], [4]]),
        market_value=np.array([2000, 1000]),
        investable=np.array([2000, 400]),
    )

    found = violated_constraints(two, np.array([[60], [60]]))

    assert found.tolist() == [KEPT, [False, True, True]]


def test_products_beyond_64_bits_are_exact():
    # 2**61 units with weights in tenths of thousands: the products pass 2**63.
    value = 2**61
    made = block(value, (1, 5_000, 0, 0, 0), denominator=10_000)

    assert verdict(made, value // 2) == KEPT
    assert verdict(made, value // 2 + 1) == [False, True, False]
    assert verdict(made, value // 2 - 1) == [False, True, False]


def test_a_product_that_would_come_round_to_nothing_in_64_bits_is_seen_for_what_it_is():
    # 2**60 times 10,000 is a multiple of 2**64, and so is 2**61 times 5,000.
    small = block(1000, (1, 0, 0, 1, 0), denominator=10_000)
    assert verdict(small, 2**60) == [False, True, True]

    large = replace(
        block(1000, (1, 5_000, 0, 0, 0), denominator=10_000),
        before=np.array([[0], [0]]),
        market_value=np.array([1000, 2**61]),
        investable=np.array([1000, 2**61]),
    )
    assert violated_constraints(large, np.array([[500], [0]])).tolist() == [
        KEPT,
        [False, True, False],
    ]


def test_the_gap_is_what_the_bound_leaves_open_and_seconds_are_no_part_of_an_answer():
    first, other = (
        Certificate(Proof.OPTIMAL_WITHIN_GAP, Method.MILP, 7, 5, seconds=seconds)
        for seconds in (1.0, 2.0)
    )

    assert first.gap == 2
    assert first == other
