"""Variables and rows of the coupled program; formulations.py has their derivation."""

from typing import Any

import cvxpy as cp

# Integer variables of a security, besides the boolean x.
STEPS: tuple[str, ...] = ("undone", "retreat", "overshoot")
SLACK, PLAN_COSTS = "slack_", "plan_costs"  # prefixes of variables without a security


def security_parameters(size: int, *names: str) -> tuple[cp.Parameter, ...]:
    return tuple(cp.Parameter(size, name=name) for name in names)


def bound_rows(variable: cp.Variable, most: cp.Parameter) -> tuple[cp.Constraint, cp.Constraint]:
    return variable >= 0, variable <= most


class Steps:
    """Variables of each security between holding and target, and their cost in the objective."""

    def __init__(self, size: int) -> None:
        self.x = cp.Variable(size, boolean=True, name="x")
        parts = (cp.Variable(size, integer=True, name=name) for name in STEPS)
        self.undone, self.retreat, self.overshoot = parts
        names = ("can_cross", "max_undone", "max_retreat", "max_overshoot")
        self.can_cross, max_undone, self.max_retreat, self.max_overshoot = security_parameters(
            size, *names
        )
        names = ("cost_across", "cost_undone", "cost_further")
        across, undone, further = security_parameters(size, *names)
        self.rows: list[cp.Constraint] = [
            self.x <= self.can_cross,
            *bound_rows(self.undone, max_undone),
            *bound_rows(self.retreat, self.max_retreat),
            *bound_rows(self.overshoot, self.max_overshoot),
        ]
        self.cost: Any = (
            across @ self.x + undone @ self.undone + further @ (self.retreat + self.overshoot)
        )
        self.onward = self.x - self.undone + self.overshoot  # net steps toward the target from base
        step_value = cp.Parameter(size, name="step_value")
        self.value: Any = cp.multiply(step_value, self.onward - self.retreat)  # above that of base
        self.invested: Any = step_value @ (self.onward - self.retreat)


class Trades:
    """A boolean for a trade toward the target, one for a trade away from it, and their rows."""

    def __init__(self, size: int, steps: Steps, *, has_odd_lots: bool) -> None:
        trade_toward, trade_away = (
            cp.Variable(size, boolean=True, name=name) for name in ("trade_toward", "trade_away")
        )
        approach, least = security_parameters(size, "approach", "least_trade")
        tied_approach, untied = approach, 0
        if has_odd_lots:
            tied_approach, untied = security_parameters(size, "tied_approach", "untied")
        self.rows: list[cp.Constraint] = [
            steps.x <= cp.multiply(steps.can_cross, trade_toward) + untied,
            steps.overshoot <= cp.multiply(steps.max_overshoot, trade_toward),
            steps.undone + cp.multiply(tied_approach, trade_toward) >= tied_approach,
            steps.onward + approach >= cp.multiply(least, trade_toward),
            steps.retreat <= cp.multiply(steps.max_retreat, trade_away),
            steps.retreat >= cp.multiply(least, trade_away),
            trade_toward + trade_away <= 1,
        ]
        self.count = cp.sum(trade_toward + trade_away)


class PlanCosts:
    """Costs of the plan beyond those of the approach, and the rows that move with them.

    All rows share one variable, because costs written out in each row would make each row dense.
    """

    def __init__(self, size: int, groups: int, steps: Steps, trades: Trades) -> None:
        self.cost = cp.Variable(name=PLAN_COSTS)
        self.per_trade = cp.Parameter(name="per_trade")
        rate_value, low, high = security_parameters(size, "rate_value", "band_low", "band_high")
        turnover = rate_value @ (steps.onward + steps.retreat)
        shares = security_parameters(size, "band_low_share", "band_high_share")
        self.rows: list[cp.Constraint] = [
            self.cost == turnover + self.per_trade * trades.count,
            steps.value + cp.multiply(shares[0], self.cost) >= low,
            steps.value + cp.multiply(shares[1], self.cost) <= high,
        ]
        names = ("floor_counts", "ceiling_counts")
        self.cash_rows = [steps.invested + cp.Parameter(name=name) * self.cost for name in names]
        names = ("group_low_share", "group_high_share")
        self.group_rows = [self.cost * share for share in security_parameters(groups, *names)]


def coupling_rows(
    size: int, groups: int, steps: Steps, trades: Trades | None, plan_costs: PlanCosts | None
) -> tuple[list[cp.Constraint], Any]:
    """Make the coupling rows, each with an elastic slack, and the sum of the slacks."""
    slacks = _ElasticSlacks(groups)
    rows: list[cp.Constraint] = []
    if trades is not None:
        more = slacks.make_trades_slack()
        rows.append(trades.count <= cp.Parameter(name="trades") + more)
    spent = (
        [_cash_spending(size, steps, trades), steps.invested]
        if plan_costs is None
        else plan_costs.cash_rows
    )
    value = cp.Parameter((groups, size), name="group_value") @ (steps.onward - steps.retreat)
    group_rows = [value, value]
    if plan_costs is not None:
        group_rows = [value + moved for moved in plan_costs.group_rows]
    turnover = cp.Parameter(size, name="lot_value") @ (steps.onward + steps.retreat)
    rows += [
        spent[0] <= cp.Parameter(name="limit") + slacks.floor,
        spent[1] >= cp.Parameter(name="limit_low") - slacks.ceiling,
        turnover <= cp.Parameter(name="turnover") + slacks.turnover,
        group_rows[0] >= cp.Parameter(groups, name="group_low") - slacks.low,
        group_rows[1] <= cp.Parameter(groups, name="group_high") + slacks.high,
        *slacks.make_rows(),
    ]
    return rows, slacks.make_total()


class _ElasticSlacks:
    """Amounts by which coupling rows may be violated: 0 unless an explanation relaxes them."""

    def __init__(self, groups: int) -> None:
        names = ("floor", "ceiling", "turnover")
        self.floor, self.ceiling, self.turnover = (cp.Variable(name=SLACK + name) for name in names)
        sides = ("low", "high")
        self.low, self.high = (cp.Variable(groups, name=f"{SLACK}group_{side}") for side in sides)
        self._limits = cp.Parameter(name="max_slack_limits")
        self._restrictions = cp.Parameter(name="max_slack_restrictions")
        self._bounded: list[tuple[cp.Variable, cp.Parameter]] = [
            (self.ceiling, self._limits),
            (self.turnover, self._restrictions),
            (self.low, self._limits),
            (self.high, self._limits),
        ]

    def make_trades_slack(self) -> cp.Variable:
        """Add a slack on the number of trades."""
        more = cp.Variable(name=f"{SLACK}trades")
        self._bounded.append((more, self._restrictions))
        return more

    def make_rows(self) -> list[cp.Constraint]:
        """Bounds of the slacks."""
        return [
            self.floor <= cp.Parameter(name="max_slack_floor"),
            *(slack <= most for slack, most in self._bounded),
            *(slack >= 0 for slack in self._all),
        ]

    def make_total(self) -> Any:
        """Sum of the slacks, for the objective."""
        return cp.sum(cp.hstack(self._all))

    @property
    def _all(self) -> list[cp.Variable]:
        return [self.floor, *(slack for slack, _ in self._bounded)]


def _cash_spending(size: int, steps: Steps, trades: Trades | None) -> Any:
    """Cash spent by trades, beyond those from the holdings to ``base``."""
    spent_toward, spent_away = security_parameters(size, "spent_toward", "spent_away")
    spent: Any = spent_toward @ steps.onward + spent_away @ steps.retreat
    if trades is not None:
        spent += cp.Parameter(name="per_trade") * trades.count
    return spent


def soft_band_rows(size: int, steps: Steps) -> tuple[list[cp.Constraint], Any]:
    under, over = (cp.Variable(size, name=name) for name in ("under", "over"))
    low, high = security_parameters(size, "band_low", "band_high")
    rows: list[cp.Constraint] = [
        under >= 0,
        over >= 0,
        steps.value + under >= low,
        steps.value - over <= high,
    ]
    return rows, cp.sum(under + over)
