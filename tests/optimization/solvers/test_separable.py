"""Bands and the optimum of each security on its own, against numbers worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from optimization.exact.block import (
    Bands,
    Block,
    compute_bands,
    fits_int64,
    largest_number,
    lot_limits,
)
from optimization.solvers.separable import compute_drift, nearest_lots, solve
from tests.optimization.support.blocks import block


def one(target: int, part: int, lower: int, upper: int) -> Bands:
    return Bands(*(np.array([[value]]) for value in (target, part, lower, upper)))


def lots(market_value: int, *securities: tuple[int, int, int, int, int]) -> list[int]:
    made = block(market_value, *securities)
    return solve(made, compute_bands(made)).lots[0].tolist()


def test_a_target_is_whole_units_and_a_part_and_its_band_is_rounded_inwards():
    where = compute_bands(block(1001, (10, 315, 100, 200, 0)))

    # 315.315, from 215.215 to 515.515
    assert (where.target[0, 0], where.part[0, 0]) == (315, 315)
    assert (where.lower[0, 0], where.upper[0, 0]) == (216, 515)


def test_the_least_part_of_a_unit_rounds_an_edge_inwards():
    assert compute_bands(block(1001, (10, 101, 100, 0, 0))).lower[0, 0] == 2  # 1.001


def test_edges_on_whole_units_belong_to_the_band():
    where = compute_bands(block(2000, (10, 315, 100, 200, 0)))

    assert (where.lower[0, 0], where.upper[0, 0]) == (430, 1030)


def test_no_band_reaches_below_nothing():
    assert compute_bands(block(1000, (10, 100, 300, 300, 0))).lower[0, 0] == 0


def test_the_remainder_of_a_fractional_holding_counts_towards_target_and_band():
    made = block(1000, (10, 315, 100, 200, 0))
    with_rest = Block(
        **{name: getattr(made, name) for name in made.__slots__ if name != "remainder"},
        remainder=np.array([[7]]),
    )
    where = compute_bands(with_rest)

    assert (where.target[0, 0], where.lower[0, 0], where.upper[0, 0]) == (308, 208, 508)


@pytest.mark.parametrize(
    ("target", "part", "held", "nearest"),
    [
        (49, 0, 0, 2),  # 9 above two lots of 20, 11 below three
        (51, 0, 0, 3),
        (50, 0, 0, 2),  # half way: down, as nothing is held
        (50, 0, 2, 2),
        (50, 0, 3, 3),  # half way: up, as three are held
        (50, 1, 0, 3),  # a thousandth beyond half way
        (49, 999, 9, 2),
        (40, 0, 5, 2),  # exact
        (0, 0, 5, 0),
    ],
)
def test_the_nearest_lots_and_how_a_tie_falls(target: int, part: int, held: int, nearest: int):
    made = block(1000, (20, 50, 0, 0, held))

    assert nearest_lots(made, one(target, part, 0, 1000))[0, 0] == nearest


@pytest.mark.parametrize("price", [7, 13])
def test_halves_of_odd_prices_are_ties_too(price: int):
    # 3.5 or 6.5 units, written as parts of 2
    made = block(1000, (price, 1, 0, 0, 0), denominator=2)

    assert nearest_lots(made, one(price // 2, 1, 0, 99))[0, 0] == 0
    held = block(1000, (price, 1, 0, 0, 1), denominator=2)
    assert nearest_lots(held, one(price // 2, 1, 0, 99))[0, 0] == 1


def test_the_nearest_lots_are_clipped_to_the_band():
    assert lots(1000, (30, 70, 5, 25, 0)) == [3]  # 60 is nearer to 70, but below 65
    assert lots(1000, (30, 80, 80, 5, 0)) == [2]  # 90 is nearer to 80, but above 85


def test_a_band_without_a_lot_is_found_among_others():
    made = block(1000, (40, 70, 5, 5, 0), (30, 60, 0, 0, 0))  # 65 to 75 in lots of 40
    fits = block(1000, (40, 75, 5, 5, 0), (30, 60, 0, 0, 0))

    assert solve(made, compute_bands(made)).admits.tolist() == [False]
    assert solve(fits, compute_bands(fits)).admits.tolist() == [True]


def test_the_invested_value_counts_lots_and_remainders():
    made = block(1000, (30, 60, 5, 5, 0), (40, 120, 5, 5, 0))

    assert solve(made, compute_bands(made)).invested.tolist() == [180]


def test_remainders_count_each_in_its_own_portfolio():
    made = replace(
        block(1000, (30, 60, 5, 5, 0), (40, 120, 5, 5, 0)),
        before=np.zeros((2, 2), dtype=np.int64),
        market_value=np.array([1000, 1000]),
        remainder=np.array([[3, 1], [2, 0]]),
    )

    assert solve(made, compute_bands(made)).invested.tolist() == [184, 182]


def test_one_large_portfolio_of_a_block_does_not_overflow_beside_a_small_one():
    # 2**51 times 9,000 parts of 10,000 pass 2**63 in 64 bits.
    large = 2**51
    made = replace(
        block(1000, (7, 9_000, 1_000, 1_000, 0), denominator=10_000),
        before=np.zeros((2, 1), dtype=np.int64),
        market_value=np.array([1000, large]),
    )

    found = compute_bands(made)

    assert found.target[:, 0].tolist() == [900, large * 9 // 10]
    assert found.part[:, 0].tolist() == [0, large * 9_000 % 10_000]
    assert found.lower[:, 0].tolist() == [800, -(-large * 8 // 10)]
    assert found.upper[:, 0].tolist() == [1000, large]


def test_limits_of_lots_are_the_band_s_and_the_restriction_s():
    made = block(1000, (30, 80, 50, 70, 4))  # 30 to 150 in lots of 30: 1 to 5
    where = compute_bands(made)

    assert [limit[0, 0] for limit in lot_limits(made, where)] == [1, 5]
    kept = made.with_bounds(np.array([[4]]), np.array([[9]]))
    assert [limit[0, 0] for limit in lot_limits(kept, where)] == [4, 5]
    assert solve(kept, where).lots[0].tolist() == [4]
    sold = made.with_bounds(np.array([[0]]), np.array([[2]]))
    assert solve(sold, where).lots[0].tolist() == [2]
    beyond = made.with_bounds(np.array([[6]]), np.array([[9]]))
    assert solve(beyond, where).admits.tolist() == [False]


def test_drift_adds_distances_in_parts_of_a_unit():
    made = block(1001, (10, 315, 100, 200, 0), (10, 115, 100, 200, 0))
    where = compute_bands(made)  # 315.315 and 115.115

    # 310 is 5.315 below, 120 is 4.885 above: 10.2
    assert compute_drift(made, where, np.array([[31, 12]])) == [10_200]


@pytest.mark.parametrize(
    ("lots", "drift"),
    [
        (314, 1_315),  # 315.315 less 314
        (315, 315),
        (316, 685),  # less than a unit above
        (317, 1_685),
    ],
)
def test_drift_is_exact_on_both_sides_within_a_unit_of_the_target(lots: int, drift: int):
    made = block(1001, (1, 315, 100, 200, 0))

    assert compute_drift(made, compute_bands(made), np.array([[lots]])) == [drift]


def test_a_holding_outside_the_model_is_sold_or_kept_where_it_may_not_be():
    made = block(1000, (30, 0, 0, 0, 4))
    where = compute_bands(made)
    assert solve(made, where).lots[0].tolist() == [0]
    cheapest = block(1000, (1, 0, 0, 0, 4))
    assert compute_bands(cheapest).upper[0, 0] == 0
    assert solve(cheapest, compute_bands(cheapest)).lots[0].tolist() == [0]

    kept = made.with_bounds(np.array([[4]]), np.array([[9]]))
    found = solve(kept, compute_bands(kept))
    assert (found.lots[0].tolist(), found.admits.tolist()) == ([4], [True])


@pytest.mark.parametrize(("market_value", "top"), [(0, 0), (1, 0), (-1, -8)])
def test_a_rest_below_a_lot_stays_in_an_account_worth_nothing_but_not_in_one_worth_less(
    market_value: int, top: int
):
    made = replace(block(market_value, (10, 0, 0, 0, 1)), remainder=np.array([[8]]))

    assert compute_bands(made).upper[0, 0] == top


def test_whole_numbers_beyond_64_bits_give_the_same():
    securities = ((20, 315, 100, 200, 3), (7, 415, 5, 5, 2))
    small, large = block(1001, *securities), block(1001, *securities, dtype=object)

    first, second = (solve(made, compute_bands(made)) for made in (small, large))
    assert first.lots.tolist() == second.lots.tolist()
    assert first.admits.tolist() == second.admits.tolist()


def test_a_block_s_rows_are_solved_as_each_alone():
    made = block(1001, (20, 315, 100, 200, 3))
    three = Block(
        **{
            **{name: getattr(made, name) for name in made.__slots__},
            "before": np.array([[3], [0], [9]]),
            "market_value": np.array([1001, 77, 5_000]),
            "investable": np.array([1001, 77, 5_000]),
        }
    )
    where = compute_bands(three)
    for row in range(3):
        alone = three.select_rows([row])
        assert solve(alone, compute_bands(alone)).lots.tolist() == [
            solve(three, where).lots[row].tolist()
        ]
        assert where.select_rows([row]).lower.tolist() == compute_bands(alone).lower.tolist()


@pytest.mark.parametrize("own", [True, False])
def test_rows_of_a_block_keep_their_remainders_and_restrictions(own: bool):
    made = block(1001, (20, 315, 100, 200, 3), (7, 415, 5, 5, 2))
    rests = np.array([[1, 2], [3, 4], [5, 6]]) if own else np.zeros((1, 1), dtype=np.int64)
    three = replace(
        made,
        remainder=rests,
        before=np.array([[3, 2], [0, 1], [9, 8]]),
        market_value=np.array([1001, 77, 5_000]),
        investable=np.array([1000, 70, 4_000]),
        least=np.array([[0, 1], [2, 3], [4, 5]]),
        most=np.array([[6, 7], [8, 9], [10, 11]]),
    )

    some = three.select_rows([2, 0])

    assert some.remainder.tolist() == ([[5, 6], [1, 2]] if own else [[0]])
    assert some.before.tolist() == [[9, 8], [3, 2]]
    assert (some.market_value.tolist(), some.investable.tolist()) == ([5_000, 1001], [4_000, 1000])
    assert some.least is not None
    assert some.most is not None
    assert (some.least.tolist(), some.most.tolist()) == ([[4, 5], [0, 1]], [[10, 11], [6, 7]])
    assert some.shape == (2, 2)


def test_the_guard_of_64_bits_bounds_every_number_of_a_block():
    # twice 1000, twice 30 and 120 are 2180; five times that
    assert largest_number([-1000, 5], [30, 7], 120, 4) == 10_900
    assert fits_int64(2**61 - 1, 10_000)
    assert not fits_int64(2**61, 10_000)
    assert not fits_int64(1, 2**30)
    assert fits_int64(1, 10**9)
