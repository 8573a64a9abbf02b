"""Limits that a plan meets or misses by far less than a cent, and by less than floats resolve."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from optimization.domain.certificate import Method, Proof
from optimization.domain.drift_band import DriftBand
from optimization.domain.model import Model, Target
from optimization.domain.option_values import GroupBand
from optimization.domain.options import RebalanceOptions
from optimization.domain.outcome import PortfolioOutcome
from optimization.domain.portfolio import Portfolio, price_targets
from optimization.engine import rebalance
from optimization.exact.block import compute_bands
from optimization.exact.block_builder import build_block
from optimization.exact.scaled_integers import compute_granularity, just_above
from optimization.solvers.cash_constrained import CashConstrainedProblem, solve_by_program
from optimization.solvers.separable import solve
from optimization.time_budget import TimeBudget

A, B = "A" * 24, "B" * 24
PRICES = {A: Decimal(10), B: Decimal(20)}
BAND = DriftBand(Decimal("0.1"), Decimal("0.1"))
MODEL = Model(
    "Model", (Target(A, Decimal("0.2"), BAND), Target(B, Decimal("0.1"), BAND)), ("P" * 24,)
)


def answer(**options: Any) -> PortfolioOutcome:
    """Rebalance 1,000 in cash to 20 of A and 5 of B; minimum trades need the program."""
    options.setdefault("minimum_shares", Decimal(2))
    return rebalance(
        MODEL, Portfolio("P" * 24, Decimal(1000), {}, PRICES), RebalanceOptions(**options)
    )


@pytest.mark.parametrize("digits", [2, 6, 8, 14])
@pytest.mark.parametrize(
    ("option", "met", "sign"),
    [("cash_floor", 700, 1), ("turnover_cap", 300, -1)],
)
def test_a_limit_that_the_best_plan_meets_exactly_keeps_it_and_a_hair_more_gives_it_up(
    option: str, met: int, sign: int, digits: int
):
    feasibility_margin = sign * Decimal(1).scaleb(-digits)

    assert answer(**{option: Decimal(met)}).after == (20, 5)
    missed = answer(**{option: met + feasibility_margin})

    assert missed.after == (19, 5)
    assert missed.certificate is not None
    assert missed.certificate.objective == 10
    assert missed.certificate.gap < Decimal("0.01")


@pytest.mark.parametrize(("low", "high", "after"), [("0.3", "1", (21, 5)), ("0", "0.3", (20, 5))])
def test_a_group_s_bounds_are_met_exactly_or_missed_by_a_hair(
    low: str, high: str, after: tuple[int, int]
):
    feasibility_margin = Decimal("1E-12")
    exact = GroupBand("both", frozenset({A, B}), Decimal(low), Decimal(high))
    above = GroupBand(
        "both", frozenset({A, B}), Decimal(low) + (feasibility_margin if low != "0" else 0)
    )

    assert answer(groups=(exact,)).after == (20, 5)
    assert answer(groups=(above,)).after == after


def test_a_group_without_members_here_takes_nothing_from_the_other_limits():
    nobody = GroupBand("nobody", frozenset({"X" * 24}))

    assert answer(groups=(nobody,), cash_floor=Decimal("700.00000001")).after == (19, 5)


def test_a_plan_beyond_float_resolution_is_solved_again_with_the_bound_of_the_first_answer():
    # Costs of 3E-10 make sums that are multiples of 1E-11: the solver takes the floor as kept.
    asked = {"cost_rate": Decimal("1E-12"), "cash_floor": Decimal("699.99999999980")}

    found = answer(**asked)

    assert found.after == (19, 5)
    assert found.certificate is not None
    # At the base after 2.9E-10 of costs 190 are that much of 0.2 nearer to the one target, 100 of
    # 0.1 farther.
    assert found.certificate.method is Method.MILP
    assert found.certificate.objective == Decimal("9.999999999971")
    assert found.certificate.lower_bound < Decimal("1E-9")
    assert found.certificate.proof is Proof.OPTIMAL_WITHIN_GAP


def test_the_cash_row_alone_is_asked_again_where_prices_are_finer_than_floats():
    # 20 of A and 5 of B cost 300.00000000000035: 35 units of 10**-14 more than there is.
    prices = {A: Decimal("10.00000000000001"), B: Decimal("20.00000000000003")}
    portfolio = Portfolio("P" * 24, Decimal(1000), {}, prices)
    options = RebalanceOptions(cash_floor=Decimal(700))
    block = build_block(price_targets(MODEL, prices), (), [portfolio], options).block
    where = compute_bands(block)
    lots = solve(block, where).lots[0]
    assert lots.tolist() == [20, 5]

    plan = solve_by_program(
        CashConstrainedProblem("P" * 24, block, where, lots, 35), TimeBudget(10.0)
    )

    assert plan.lots.tolist() == [19, 5]
    assert plan.certificate.lower_bound < 1
    assert plan.certificate.proof is Proof.OPTIMAL_WITHIN_GAP


def test_sums_are_multiples_of_their_grain():
    assert compute_granularity([Fraction(3, 4), Fraction(5, 2), 2]) == Fraction(1, 4)
    assert compute_granularity([]) == 0
    assert compute_granularity([0, 6, 4]) == 2


@pytest.mark.parametrize(
    ("limit", "granularity", "floats"),
    [
        ("7.1", "2", "6.25"),
        ("6", "2", "6.25"),
        ("-7.1", "2", "-7.75"),
        ("0.3", "0.2", "0.3"),  # half a grain is less than the hair
        ("7.1", "0", "7.1"),
    ],
)
def test_floats_get_a_limit_a_hair_above_the_largest_sum_it_admits(
    limit: str, granularity: str, floats: str
):
    found = just_above(Fraction(limit), Fraction(granularity), Fraction(1, 4))

    assert found == Fraction(floats)
