"""Parameters of the program for a portfolio under coupling options, by hand."""

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pytest

from optimization.exact.constraints import Group
from optimization.solvers.coupled_data import coupled_milp_data
from optimization.solvers.coupled_limits import UNBOUNDED
from optimization.solvers.coupled_problem import CoupledProblem
from tests.optimization.support.coupled_problems import WIDE, coupled

# Of 20.00: 7.00 in lots of 3.00, from 3.00 to 10.00, two held; 6.00 in lots of 5.00, from 4.00 to
# 10.00, one held.
A, B = (300, 350, 200, 150, 2), (500, 300, 100, 200, 1)
GROUP = Group("g", frozenset({1}), Fraction(450), Fraction(1050))


def pair(**given: object) -> CoupledProblem:
    return coupled(A, B, worth=2000, **given)


def test_without_options_only_bands_and_cash_bind():
    problem, base = coupled_milp_data(pair())

    assert base.tolist() == [2, 1]
    assert problem.sign.tolist() == [1.0, 1.0]
    assert problem.lot_value.tolist() == problem.step_value.tolist() == [3.0, 5.0]
    assert problem.cost_across.tolist() == [1.0, 3.0]  # 2.00 and 4.00 above instead of 1.00 below
    assert problem.cost_undone.tolist() == problem.cost_further.tolist() == [3.0, 5.0]
    assert problem.spent_toward.tolist() == [3.0, 5.0]
    assert problem.spent_away.tolist() == [-3.0, -5.0]
    assert problem.can_cross.tolist() == [1.0, 1.0]
    assert problem.approach.tolist() == problem.max_undone.tolist() == [0.0, 0.0]
    assert problem.max_retreat.tolist() == [1.0, 0.0]
    assert problem.max_overshoot.tolist() == [0.0, 0.0]
    assert problem.least_trade.tolist() == [1.0, 1.0]
    assert problem.band_low.tolist() == problem.band_high.tolist() == [0.0, 0.0]
    assert (problem.counts_trades, problem.soft_price, problem.trades) == (False, None, 2.0)
    # 9.00 are left above these lots: nine lots of a common 1.00, and a millionth.
    assert problem.limit == pytest.approx(9.000001, abs=1e-12)
    assert (problem.limit_low, problem.turnover) == (-UNBOUNDED, UNBOUNDED)
    assert problem.group_value.tolist() == [[0.0, 0.0]]
    assert (problem.group_low.tolist(), problem.group_high.tolist()) == ([0.0], [0.0])
    assert problem.per_trade == problem.cost_per_trade == 0.0


def test_every_limit_is_above_these_lots_and_a_millionth_above_the_largest_sum_it_admits():
    problem, _ = coupled_milp_data(
        pair(
            cash_least=Fraction(201, 2),
            cash_most=Fraction(1195),
            turnover=Fraction(777),
            trades=3,
            rate=Fraction(1, 100),
            per_trade=Fraction(10),
            groups=(GROUP,),
            least_trade=(1, 2),
        )
    )

    assert problem.counts_trades
    assert problem.spent_toward.tolist() == pytest.approx([3.03, 5.05])
    assert problem.spent_away.tolist() == pytest.approx([-2.97, -4.95])
    assert problem.per_trade == 0.1
    assert problem.cost_across.tolist() == [1.0, 3.0]
    assert problem.cost_undone.tolist() == problem.cost_further.tolist() == [3.0, 5.0]
    assert problem.cost_per_trade == 0.0
    assert problem.trades == 3.0
    assert problem.least_trade.tolist() == [1.0, 2.0]
    # Sums of 3.00, 5.00, 0.03, 0.05 and 0.10: in cents, so that 7.995 are 7.99.
    assert problem.limit == pytest.approx(7.990001, abs=1e-12)
    assert problem.limit_low == pytest.approx(-2.000001, abs=1e-12)  # the ceiling is above costs
    assert problem.turnover == pytest.approx(7.000001, abs=1e-12)  # in lots of 1.00
    assert problem.group_value.tolist() == [[0.0, 5.0]]
    assert problem.group_low[0] == pytest.approx(-0.000001, abs=1e-12)  # 0.50 below: no lot
    assert problem.group_high[0] == pytest.approx(5.000001, abs=1e-12)  # 5.50 above: one lot


def test_costs_count_in_the_objective_where_they_are_to():
    problem, _ = coupled_milp_data(
        pair(rate=Fraction(1, 100), per_trade=Fraction(10), costs_in_objective=True)
    )

    assert problem.cost_across.tolist() == pytest.approx([1.03, 3.05])
    assert problem.cost_undone.tolist() == pytest.approx(
        [2.97, 4.95]
    )  # what is left is not paid for
    assert problem.cost_further.tolist() == pytest.approx([3.03, 5.05])
    assert problem.cost_per_trade == 0.1


def test_objectives_differ_by_whole_multiples_of_one_amount():
    # Lots of 3.00 and 5.00; one more than at or below the targets costs 1.00 and 3.00.
    assert coupled_milp_data(pair())[0].granularity == 1.0
    paid = {"rate": Fraction(1, 100), "per_trade": Fraction(4)}
    assert (
        coupled_milp_data(pair(**paid))[0].granularity == 1.0
    )  # costs are no part of the objective
    weighed = pair(**paid, costs_in_objective=True)
    assert coupled_milp_data(weighed)[0].granularity == pytest.approx(0.01)  # 0.03, 0.05 and 0.04
    # Of what is outside 3.00 to 10.00 around 6.00, two and a half times: 7.50, 10.00, and 7.50 for
    # a lot.
    assert coupled_milp_data(coupled(WIDE, soft_price=Fraction(5, 2)))[0].granularity == 0.5
    # A target of 7.007 in lots of 3.00: 0.986 for one more.
    assert coupled_milp_data(coupled(WIDE, worth=1001))[0].granularity == pytest.approx(0.002)
    held = coupled((300, 700, 400, 300, 3), worth=1001)  # the same from above
    assert coupled_milp_data(held)[0].granularity == pytest.approx(0.002)


def test_the_price_of_soft_bands_counts_in_the_granularity_of_the_objective():
    half = coupled(WIDE, soft_price=Fraction(1, 2), edges=((Fraction(200), Fraction(1000)),))
    assert (
        coupled_milp_data(half)[0].granularity == 0.5
    )  # 3.00, 1.00, 2.00 to either edge, 1.50 for a lot

    # 0.07 more than two lots: 3.00 below, 4.00 above.
    soft = coupled(WIDE, soft_price=Fraction(1), edges=((Fraction(307), Fraction(1007)),))
    rest = replace(soft.block, remainder=np.array([[7]]))
    assert replace(soft, cash_problem=replace(soft.cash_problem, block=rest)).granularity == 100


def test_margins_tighten_the_limits_they_name():
    account = pair(cash_most=Fraction(1100), turnover=Fraction(700), groups=(GROUP,))
    names = ("cash_floor", "cash_ceiling", "turnover_cap", "groups.g.low", "groups.g.high")
    margins = {name: Fraction(100 * at) for at, name in enumerate(names, start=1)}

    free, _ = coupled_milp_data(account)
    held, _ = coupled_milp_data(account, margins)

    assert free.limit - held.limit == pytest.approx(1.0)
    assert held.limit_low - free.limit_low == pytest.approx(2.0)
    assert free.turnover - held.turnover == pytest.approx(3.0)
    assert held.group_low[0] - free.group_low[0] == pytest.approx(4.0)
    assert free.group_high[0] - held.group_high[0] == pytest.approx(5.0)


@dataclass(frozen=True)
class Seen:
    """A security from its holding: the lots counted from, and the parts of the way."""

    sign: int
    base: int
    approach: int
    undone: int
    retreat: int
    across: float | None  # drift of the step; None where there is none
    overshoot: int


# Of 20.00: 7.00 in lots of 3.00. Two miss by 1.00, three by 2.00.
@pytest.mark.parametrize(
    ("low", "high", "held", "seen"),
    [
        # none to six lots inside the band
        (350, 650, 0, Seen(1, 2, approach=2, undone=2, retreat=0, across=1.0, overshoot=3)),
        (350, 650, 1, Seen(1, 2, approach=1, undone=1, retreat=1, across=1.0, overshoot=3)),
        (350, 650, 2, Seen(1, 2, approach=0, undone=0, retreat=2, across=1.0, overshoot=3)),
        (350, 650, 3, Seen(-1, 3, approach=0, undone=0, retreat=3, across=-1.0, overshoot=2)),
        (350, 650, 5, Seen(-1, 3, approach=2, undone=2, retreat=1, across=-1.0, overshoot=2)),
        # seven are above the band: one has to go, of the four on the way three may stay
        (350, 650, 7, Seen(-1, 3, approach=4, undone=3, retreat=0, across=-1.0, overshoot=2)),
        # two lots at least, none are held: the whole way has to be gone
        (150, 650, 0, Seen(1, 2, approach=2, undone=0, retreat=0, across=1.0, overshoot=3)),
        # four or five lots: the target is below the band, and from below even the first lot inside
        # is beyond it
        (-250, 450, 1, Seen(1, 4, approach=3, undone=0, retreat=0, across=3.0, overshoot=0)),
        (-250, 450, 6, Seen(-1, 4, approach=2, undone=1, retreat=0, across=None, overshoot=0)),
        # none or one: the target is above the band
        (350, -150, 5, Seen(-1, 1, approach=4, undone=0, retreat=0, across=3.0, overshoot=0)),
        (350, -150, 0, Seen(1, 1, approach=1, undone=1, retreat=0, across=None, overshoot=0)),
        # short of two lots
        (350, 650, -2, Seen(1, 2, approach=4, undone=2, retreat=0, across=1.0, overshoot=3)),
    ],
)
def test_every_security_is_seen_from_its_holding_towards_its_target(
    low: int, high: int, held: int, seen: Seen
):
    problem, base = coupled_milp_data(coupled((300, 350, low, high, held), worth=2000))

    assert base.tolist() == [seen.base]
    assert problem.sign.tolist() == [seen.sign]
    assert problem.step_value.tolist() == [3.0 * seen.sign]
    assert problem.spent_toward.tolist() == [3.0 * seen.sign]
    assert problem.spent_away.tolist() == [-3.0 * seen.sign]
    assert problem.approach.tolist() == [seen.approach]
    assert problem.max_undone.tolist() == [seen.undone]
    assert problem.max_retreat.tolist() == [seen.retreat]
    assert problem.can_cross.tolist() == [seen.across is not None]
    assert seen.across is None or problem.cost_across.tolist() == [seen.across]
    assert problem.max_overshoot.tolist() == [seen.overshoot]


def test_limits_leave_out_what_the_way_to_these_lots_takes():
    # Six lots of the one are to be sold down to three, none of the other to be bought up to one.
    six, none = (300, 350, 350, 650, 6), (500, 300, 300, 200, 0)
    both = Group("g", frozenset({0, 1}), Fraction(400), Fraction(1650))
    problem, base = coupled_milp_data(
        coupled(
            six,
            none,
            worth=2000,
            cash_most=Fraction(1500),
            turnover=Fraction(1750),
            rate=Fraction(1, 100),
            groups=(both,),
        )
    )

    assert (base.tolist(), problem.approach.tolist()) == ([3, 1], [3.0, 1.0])
    # 14.00 of them leave 6.00; their way of 14.00 costs 0.14.
    assert problem.limit == pytest.approx(5.860001, abs=1e-12)
    assert problem.limit_low == pytest.approx(6 - 15 - 0.000001, abs=1e-12)
    assert problem.turnover == pytest.approx(3.000001, abs=1e-12)  # 3.50 are left: lots of 1.00
    assert problem.group_value.tolist() == [[-3.0, 5.0]]
    assert problem.group_low[0] == pytest.approx(-10.000001, abs=1e-12)
    assert problem.group_high[0] == pytest.approx(2.000001, abs=1e-12)


def test_trades_count_where_each_costs_or_has_a_least_size():
    assert not pair(
        rate=Fraction(1, 100), turnover=Fraction(5), groups=(GROUP,)
    ).constraints.counts_trades
    assert not pair(cash_most=Fraction(5)).constraints.counts_trades
    assert not pair(cash_most=Fraction(5), rate=Fraction(1, 100)).constraints.counts_trades
    assert pair(per_trade=Fraction(1)).constraints.counts_trades
    assert pair(trades=0).constraints.counts_trades
    assert pair(least_trade=(1, 2)).constraints.counts_trades


def test_targets_and_worth_have_their_parts_of_units_and_lots():
    account = coupled(WIDE, worth=1001)  # 7.007
    problem, _ = coupled_milp_data(account)
    assert problem.cost_across.tolist() == pytest.approx([1.993 - 1.007], abs=1e-12)
    assert problem.limit == pytest.approx(3.000001, abs=1e-12)  # 4.01: one more lot

    rest = replace(account.block, remainder=np.array([[101]]))
    problem, _ = coupled_milp_data(
        replace(account, cash_problem=replace(account.cash_problem, block=rest))
    )
    assert problem.limit == pytest.approx(3.000001, abs=1e-12)  # 3.00: just one more
    assert coupled_milp_data(
        replace(
            account,
            cash_problem=replace(
                account.cash_problem, block=replace(rest, remainder=np.array([[102]]))
            ),
        )
    )[0].limit == pytest.approx(0.000001, abs=1e-12)


def test_soft_bands_are_edges_in_the_program_and_no_bounds():
    problem, base = coupled_milp_data(coupled(WIDE, soft_price=Fraction(5, 2)))

    assert base.tolist() == [2]
    assert problem.soft_price == 2.5
    assert (problem.band_low.tolist(), problem.band_high.tolist()) == ([-3.0], [4.0])
    assert (problem.approach.tolist(), problem.max_undone.tolist()) == ([2.0], [2.0])


@pytest.mark.parametrize(
    ("worth", "held", "least_trade", "most"),
    [
        (2000, 0, 1, 6),  # what all there is would buy
        (100, 5, 1, 6),  # what is held, and a trade more
        (100, 5, 3, 8),
        (100, -5, 1, 1),  # one above the target
        (-900, 0, 2, 2),
    ],
)
def test_under_soft_bands_lots_are_bounded_by_what_any_plan_can_need(
    worth: int, held: int, least_trade: int, most: int
):
    soft = coupled(
        (300, 0, 0, 100, held), worth=worth, soft_price=Fraction(1), least_trade=(least_trade,)
    )

    least, found = soft.bounds
    assert (least.tolist(), found.tolist()) == ([0], [most])


def test_each_security_has_its_own_least_trade_beyond_what_it_needs():
    soft = coupled(WIDE, WIDE, worth=100, soft_price=Fraction(1), least_trade=(1, 9))

    assert soft.bounds[1].tolist() == [2, 10]  # one lot is needed


def test_restrictions_stay_hard_under_soft_bands():
    soft = coupled(WIDE, soft_price=Fraction(1))
    block = soft.block.with_bounds(np.array([[1]]), np.array([[2]]))
    held = replace(soft, cash_problem=replace(soft.cash_problem, block=block))

    assert [bound.tolist() for bound in held.bounds] == [[1], [2]]
    assert [held.keeps_bands(np.array([lots])) for lots in range(4)] == [False, True, True, False]
    assert soft.keeps_bands(np.array([0]))
    assert not soft.keeps_bands(np.array([-1]))
    assert not coupled(WIDE, WIDE, soft_price=Fraction(1)).keeps_bands(np.array([0, -1]))


def test_hard_bands_are_kept_at_both_edges():
    hard = coupled(WIDE)

    assert [hard.keeps_bands(np.array([lots])) for lots in range(5)] == [
        False,
        True,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("held", "least_trade", "none"),
    [
        (2, 9, False),  # stays
        (1, 9, False),
        (3, 9, False),
        (0, 3, False),  # buys three
        (0, 4, True),
        (5, 2, False),
        (5, 4, False),  # sells four
        (5, 5, True),
        (4, 1, False),
    ],
)
def test_a_least_trade_may_leave_no_count_inside_a_band(held: int, least_trade: int, none: bool):
    account = coupled((300, 700, 400, 300, held), least_trade=(least_trade,))

    assert account.find_empty_bands().tolist() == ([0] if none else [])
