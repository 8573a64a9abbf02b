"""The numbers of one integer program: what program.py fills its parameters with.

Money is in currency, as floats; arrays have a place for each security, shape (n,). The variables that the names
refer to are those of program.py.
"""

from dataclasses import dataclass

from optimization.milp.sparse_form import Floats


@dataclass(frozen=True, slots=True, eq=False)
class FineLots:
    """Securities that a program counts in steps of many lots, not whole; see fine_lots.py."""

    lots_per_step: Floats  # shape (n,): 1 where lots are whole variables
    overstated: float  # the objective of a plan may be so much less than the program has it


@dataclass(frozen=True, slots=True, eq=False)
class CashMilpData:
    """Drift under the cash row, shifted by k; arrays of shape (n,), money in currency."""

    lot_value: Floats
    chord: Floats  # drift of one lot above k
    chords: Floats  # 1 where that lot is inside the band, else 0
    most_down: Floats  # whole lots from k down to the band's edge
    most_up: Floats  # whole lots from k + 1 up to the band's edge
    limit: float  # what may still be invested above k lots of everything
    granularity: float = (
        0.0  # all objectives differ by whole multiples of it; 0 where it is not known
    )
    fine: FineLots | None = None


@dataclass(frozen=True, slots=True, eq=False)
class OwnBase:
    """What moves the limits of a CoupledMilpData with the costs of its plan, beyond those of the way to ``base``."""

    rate_value: Floats  # cost of a lot, shape (n,), currency
    floor_counts: float  # how much of the costs the limit on spending is short of: 1 less the share of the base
    ceiling_counts: float
    group_low_share: Floats  # shape (m,): so much of the costs the limit gives way by
    group_high_share: Floats
    band_low_share: Floats  # shape (n,)
    band_high_share: Floats


@dataclass(frozen=True, slots=True, eq=False)
class OddLots:
    """Odd remainders, each sold only where no lot is left beside it, and then no trade of its own."""

    odd_lots: Floats  # (m, n): of the lots above ``base``
    odd_limit: Floats  # (m,)
    untied: Floats  # (n,): 1 where a trade needs no boolean, else 0
    tied_way: Floats  # (n,): the way, but 0 where a trade needs no boolean


@dataclass(frozen=True, slots=True, eq=False)
class CoupledMilpData:
    """Drift, costs and soft bands under every coupling option, counted from ``base``; money in currency.

    Arrays have shape (n,), those of groups (m,) or (m, n). A limit that is not asked for is one that cannot bind.
    """

    counted: bool  # whether trades count, beside what they move
    sign: Floats  # 1 where more lots lead from the holding to the target, -1 where fewer do
    lot_value: Floats
    step_value: Floats  # sign * lot_value: what a step towards the target and beyond it is worth
    cost_across: Floats  # in the objective: of the step across the target,
    cost_left: Floats  # of a lot that is left of the way,
    cost_further: Floats  # of a lot away or beyond
    spent_forth: Floats  # from cash: for a lot towards the target and beyond it,
    spent_back: Floats  # for a lot away from it
    chords: Floats  # 1 where the band admits the step across, else 0
    way: Floats  # lots from the holding to base
    most_left: Floats  # of these, so many may be left
    most_away: Floats  # lots to the far side of the holding
    most_beyond: Floats  # lots beyond the step across the target
    least_trade: Floats  # lots
    per_trade: float  # cost of a trade, in the cash row
    cost_per_trade: float  # the same in the objective
    band_low: Floats
    band_high: Floats
    soft_price: float | None  # None: no band may be left
    limit: float  # this and those below: less what the trades from the holdings to base make
    limit_low: float
    turnover: float
    trades: float
    group_value: Floats  # step_value where the security is in the group
    group_low: Floats
    group_high: Floats
    give_floor: float = 0.0  # how much of the cash floor may be given up
    give_limits: float = 0.0  # how much the cash ceiling and the bounds of groups may give
    give_restrictions: float = 0.0  # how much turnover and the number of trades may
    objective_most: float = 0.0  # for the second stage
    odd_lots: OddLots | None = None
    violation_most: float | None = None  # of positions outside their bands; None: any amount
    granularity: float = (
        0.0  # all objectives differ by whole multiples of it; 0 where it is not known
    )
    own_base: OwnBase | None = None  # None: limits are what they are, whatever the plan costs
    fine: FineLots | None = None
