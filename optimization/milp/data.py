"""Parameters and answers of the integer programs in formulations.py.

Money is in currency, as floats; arrays have one entry per security, shape (n,). The variables named
in comments are those of formulations.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Chosen = NDArray[np.bool_]

ABSOLUTE_GAP = 0.01  # currency, because sums of six-decimal prices do not close at 0 in time
MIN_GRANULARITY = 1e-5  # currency: the resolution of floats in an objective of millions


@dataclass(frozen=True, slots=True, eq=False)
class SolverAnswer:
    """Result of the solver, in floats; the caller verifies it exactly."""

    values: Mapping[str, Floats] | None  # key: variable; None without an incumbent
    bound: float  # dual bound of the solver, less the absolute gap
    proven: bool  # optimal within the gap
    infeasible: bool
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class FineLots:
    """Securities counted in steps of many lots; see fine_lots.py."""

    lots_per_step: Floats  # shape (n,): 1 if lots are integer variables
    overstated: float  # most by which the program overstates the objective of a plan


@dataclass(frozen=True, slots=True, eq=False)
class CashMilpData:
    """Drift under the cash row, shifted by k lots; arrays of shape (n,), money in currency."""

    lot_value: Floats
    cost_across: Floats  # drift added by one lot above k
    can_cross: Floats  # 1 if that lot is inside the band, else 0
    max_down: Floats  # whole lots from k down to the band's edge
    max_up: Floats  # whole lots from k + 1 up to the band's edge
    limit: float  # cash that may be invested above k lots of everything
    granularity: float = 0.0  # granularity of the objective; 0 if unknown
    fine: FineLots | None = None


@dataclass(frozen=True, slots=True, eq=False)
class OwnBase:
    """Rates at which the limits of a CoupledMilpData move with the plan's costs beyond ``base``."""

    rate_value: Floats  # cost of a lot, shape (n,), currency
    floor_counts: float  # weight of costs in the cash floor: 1 less the floor's part of the base
    ceiling_counts: float
    group_low_share: Floats  # shape (m,): fraction of the costs by which the limit falls
    group_high_share: Floats
    band_low_share: Floats  # shape (n,)
    band_high_share: Floats


@dataclass(frozen=True, slots=True, eq=False)
class OddLots:
    """Odd remainders: sold only if no round lot is left, and not counted as a trade."""

    odd_lots: Floats  # (m, n): coefficients of the lots above ``base``
    odd_limit: Floats  # (m,)
    untied: Floats  # (n,): 1 if a trade needs no boolean, else 0
    tied_approach: Floats  # (n,): approach, but 0 if a trade needs no boolean


@dataclass(frozen=True, slots=True, eq=False)
class CoupledMilpData:
    """Drift, costs and soft bands under every coupling option, counted from ``base``.

    Money is in currency. Arrays have shape (n,), those of groups (m,) or (m, n). A limit that is
    not set has a value that cannot bind.
    """

    counts_trades: bool  # whether the number of trades matters, besides their value
    sign: Floats  # 1 if the target is above the holding, -1 if below
    lot_value: Floats
    step_value: Floats  # sign * lot_value: value of a lot in the direction of the target
    cost_across: Floats  # objective coefficient: the step across the target
    cost_undone: Floats  # objective coefficient: a lot of the approach left undone
    cost_further: Floats  # objective coefficient: a lot of retreat or overshoot
    spent_toward: Floats  # cash spent on a lot traded toward the target
    spent_away: Floats  # cash spent on a lot traded away from the target
    can_cross: Floats  # 1 if the band admits the step across, else 0
    approach: Floats  # lots from the holding to ``base``
    max_undone: Floats  # upper bound on lots of the approach left undone
    max_retreat: Floats  # upper bound on lots on the far side of the holding
    max_overshoot: Floats  # upper bound on lots past the step across the target
    least_trade: Floats  # lots
    per_trade: float  # cost of a trade in the cash row
    cost_per_trade: float  # cost of a trade in the objective
    band_low: Floats
    band_high: Floats
    soft_price: float | None  # None: bands are hard
    limit: float  # this and the next limits exclude the trades from the holdings to ``base``
    limit_low: float
    turnover: float
    trades: float
    group_value: Floats  # step_value if the security is in the group, else 0
    group_low: Floats
    group_high: Floats
    max_slack_floor: float = 0.0  # elastic slack of the cash floor
    max_slack_limits: float = 0.0  # elastic slack of the cash ceiling and of the groups
    max_slack_restrictions: float = 0.0  # elastic slack of turnover and the number of trades
    objective_most: float = 0.0  # objective limit of the second stage
    odd_lots: OddLots | None = None
    violation_most: float | None = None  # limit on the sum of violations; None: no limit
    granularity: float = 0.0  # granularity of the objective; 0 if unknown
    own_base: OwnBase | None = None  # None: limits do not move with the costs of the plan
    fine: FineLots | None = None
