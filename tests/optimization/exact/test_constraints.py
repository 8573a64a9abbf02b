"""Slack of a plan under the options, in numbers worked out by hand."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from optimization.domain.drift_band import DriftBand
from optimization.domain.model import Model, Target
from optimization.domain.numbers import Percent
from optimization.domain.option_values import GroupBand
from optimization.domain.options import RebalanceOptions
from optimization.domain.portfolio import Portfolio, price_others, price_targets
from optimization.exact.block import compute_bands
from optimization.exact.block_builder import build_block
from optimization.exact.constraints import CouplingConstraints, state_constraints
from optimization.exact.evaluation import Evaluation, evaluate
from optimization.exact.restrictions import restrict_block

A, B, X = "A" * 24, "B" * 24, "X" * 24
BAND = DriftBand(Decimal("0.1"), Decimal("0.1"))
MODEL = Model(
    "Model", (Target(A, Decimal("0.4"), BAND), Target(B, Decimal("0.5"), BAND)), ("P" * 24,)
)
# 30 of A at 10 and 25 of B at 20, with 200 in cash: 1,000.
HELD = Portfolio(
    "P" * 24,
    Decimal(200),
    {A: Decimal(30), B: Decimal(25)},
    {A: Decimal(10), B: Decimal(20)},
)


def evaluate_lots(a: int, b: int, **options: Any) -> tuple[CouplingConstraints, Evaluation]:
    asked = RebalanceOptions(**options)
    assembled = build_block(price_targets(MODEL, HELD.prices), (), [HELD], asked)
    block = assembled.block
    constraints = state_constraints(asked, HELD, block, assembled.securities, assembled.lots)
    return constraints, evaluate(constraints, block, compute_bands(block), np.array([a, b]))


def in_currency(amount: Fraction) -> Fraction:
    """Convert units to currency: a unit is 1, or 0.01 with a rate of a percent."""
    return amount / 100


def slack(a: int, b: int, **options: Any) -> dict[str, Fraction]:
    """Slack of each limit in currency or trades, because a unit is one of currency here."""
    return {limit.option: limit.slack for limit in evaluate_lots(a, b, **options)[1].limits}


def test_drift_is_the_distance_to_each_target_together():
    # 43 of A are 430 for 400, 24 of B are 480 for 500.
    assert evaluate_lots(43, 24)[1].objective == 50


def test_costs_are_a_rate_of_what_is_traded_and_an_amount_for_each_trade():
    costs = {"cost_rate": Decimal("0.01"), "cost_per_trade": Decimal(3)}

    # 13 of A bought for 130, one of B sold for 20: 1.50 and twice 3
    found = evaluate_lots(43, 24, **costs)[1]
    assert (in_currency(found.cost), in_currency(found.objective)) == (Fraction("7.5"), 50)
    weighed = evaluate_lots(43, 24, **costs, costs_in_objective=True)[1]
    assert in_currency(weighed.objective) == Fraction("57.5")
    assert in_currency(evaluate_lots(43, 25, **costs)[1].cost) == Fraction("4.3")


def test_costs_are_taken_from_cash():
    # 200 - 130 + 20 = 90, less 7.50
    costs = {"cost_rate": Decimal("0.01"), "cost_per_trade": Decimal(3)}

    assert slack(43, 24) == {"cash_floor": 90}
    assert in_currency(slack(43, 24, **costs)["cash_floor"]) == Fraction("82.5")
    assert slack(43, 24, cash_floor=Percent(Decimal("9.5")))["cash_floor"] == -5
    assert slack(43, 24, cash_ceiling=Decimal(80))["cash_ceiling"] == -10


def test_turnover_and_the_number_of_trades_have_what_they_leave():
    assert slack(43, 24, turnover_cap=Decimal(160))["turnover_cap"] == 10
    assert slack(43, 24, turnover_cap=Percent(Decimal(14)))["turnover_cap"] == -10
    assert slack(43, 24, maximum_trades=1)["maximum_trades"] == -1
    assert slack(43, 25, maximum_trades=1)["maximum_trades"] == 0


@pytest.mark.parametrize(
    ("options", "least"),
    [
        ({}, (1, 1)),
        ({"minimum_shares": Decimal("2.5")}, (3, 3)),
        ({"minimum_value": Decimal(30)}, (3, 2)),
        ({"minimum_value": Decimal("30.01")}, (4, 2)),
        ({"minimum_shares": Decimal(2), "minimum_value": Decimal(30)}, (3, 2)),
        ({"minimum_shares": Decimal(6), "lots": {A: Decimal(4)}}, (2, 6)),
    ],
)
def test_the_least_trade_is_in_lots_of_each_security(
    options: dict[str, Any], least: tuple[int, int]
):
    assert evaluate_lots(30, 25, **options)[0].least_trade == least


def test_a_trade_below_the_least_breaks_it_and_no_trade_does_not():
    assert slack(43, 24, minimum_value=Decimal(30))["minimum_value"] == -20  # one of B, not two
    assert slack(43, 25, minimum_value=Decimal(30))["minimum_value"] == 100  # ten more than three
    assert slack(30, 25, minimum_value=Decimal(30))["minimum_value"] == 0


def test_one_security_s_least_trade_counts_where_another_s_is_a_single_lot():
    # 15 are two lots of A, one of B.
    assert slack(31, 25, minimum_value=Decimal(15))["minimum_value"] == -10
    assert slack(30, 26, minimum_value=Decimal(15))["minimum_value"] == 0


def test_a_group_has_what_is_left_to_both_of_its_bounds():
    both = GroupBand("both", frozenset({A, B, "X" * 24}), Decimal("0.9"), Decimal("0.95"))

    found = slack(43, 24, groups=(both,))
    assert found["groups.both.low"] == 10
    assert found["groups.both.high"] == 40


def test_a_soft_band_costs_its_price_for_each_unit_outside():
    # B may be 400 to 600. 38 of 20 are 160 above, 19 of them 20 below.
    price = {"soft_band_price": Decimal("0.5")}

    assert evaluate_lots(40, 38, **price)[1].objective == 260 + 80
    assert evaluate_lots(40, 19, **price)[1].objective == 120 + 10
    assert evaluate_lots(40, 30, **price)[1].objective == 100


@pytest.mark.parametrize(
    ("options", "top"),
    [
        ({}, 2),  # what is below a share cannot be sold
        ({"do_not_sell": frozenset({X})}, 30),
        ({"do_not_buy": frozenset({X})}, 2),
    ],
)
def test_a_holding_outside_the_model_may_be_worth_what_cannot_be_sold_of_it(
    options: dict[str, Any], top: int
):
    portfolio = Portfolio(
        "P" * 24, Decimal(970), {X: Decimal("7.5")}, {**HELD.prices, X: Decimal(4)}
    )
    asked = RebalanceOptions(soft_band_price=Decimal("0.5"), **options)
    model = price_targets(MODEL, portfolio.prices)
    assembled = build_block(model, price_others(model, portfolio), [portfolio], asked)
    block = assembled.block
    if options:
        block = restrict_block(block, assembled.securities, assembled.lots, asked)
    constraints = state_constraints(asked, portfolio, block, assembled.securities, assembled.lots)

    cents = 10**block.decimals
    assert constraints.edges[2] == (0, top * cents)
    # 3 shares more than that cost half of their 12
    kept, more = (
        evaluate(constraints, block, compute_bands(block), np.array([40, 25, lots]))
        for lots in ((top - 2) // 4, (top - 2) // 4 + 3)
    )
    assert more.objective - kept.objective == (12 + 6) * cents


def test_only_what_is_below_zero_is_broken():
    found = evaluate_lots(43, 24, cash_floor=Decimal(90), turnover_cap=Decimal(149))[1]

    assert [limit.option for limit in found.violated_limits] == ["turnover_cap"]
