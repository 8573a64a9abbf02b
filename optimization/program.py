"""The integer programs, as CVXPY models.

Drift is modelled by its convex hull over whole lots. With k the lots at or just below the target and
r = t - k p, the count is z = k + x - d + e, x in {0, 1}, whole d, e >= 0, and at every whole z

    |t - p z| = |r| + (|p - r| - |r|) x + p (d + e)

the two arms and the chord between the two counts around the target. The linear relaxation of |.| itself
is near 0 and has to be branched away; this is the hull of each security. Everything is shifted by k, so
the large numbers never reach a row. A few sizes are compiled, each once a process, and cut down to the
securities there are.
"""

from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import cvxpy as cp

from optimization.compiled import CompiledProgram, Floats, SolverAnswer

SMALLEST_SIZE = 8
ABSOLUTE_GAP = 0.01  # currency; sums of six-decimal prices do not close at 0 in any useful time
COUNT_GAP = 0.5  # below one trade: the fewest are then proven
GIVES = "gives_"  # how the variables begin that no security has
GIVE_PRICE = 1000.0  # of what a limit gives in the nearest plan, against drift


@dataclass(frozen=True, slots=True, eq=False)
class CashProblem:
    """Drift under the cash row, shifted by k; arrays of shape (n,), money in currency."""

    lot_value: Floats
    chord: Floats  # drift of one lot above k
    chords: Floats  # 1 where that lot is inside the band, else 0
    most_down: Floats  # whole lots from k down to the band's edge
    most_up: Floats  # whole lots from k + 1 up to the band's edge
    limit: float  # what may still be invested above k lots of everything


@dataclass(frozen=True, slots=True, eq=False)
class DeskProblem:
    """Drift, costs and soft bands under every coupling option; money in currency.

    Everything counts from ``k`` lots of each security, as in CashProblem; arrays have shape (n,), those of
    groups (m,) or (m, n). A limit that is not asked for is one that cannot bind.
    """

    lot_value: Floats
    chord: Floats
    chords: Floats
    most_down: Floats
    most_up: Floats
    base_trade: Floats  # lots that k means buying, negative for selling
    most_buy: Floats
    most_sell: Floats
    least_trade: Floats  # lots
    rate_value: Floats  # cost of trading one lot, in the cash row
    per_trade: float
    objective_rate_value: Floats  # the same in the objective
    objective_per_trade: float
    band_low: Floats
    band_high: Floats
    soft_price: float
    limit: float
    limit_low: float
    turnover: float
    trades: float
    group_value: Floats  # lot_value where the security is in the group
    group_low: Floats
    group_high: Floats
    give_floor: float = 0.0  # how much of the cash floor may be given up
    give_others: float = 0.0  # how much any other limit may give
    objective_most: float = 0.0  # for the second stage


def solve_cash(problem: CashProblem, time_limit_s: float) -> tuple[SolverAnswer, Floats | None]:
    """The lots above k of each security, as the solver sees them; None without a plan."""
    return _solve(_cash_program(padded(len(problem.lot_value))), problem, time_limit_s)


def solve_desk(problem: DeskProblem, time_limit_s: float) -> tuple[SolverAnswer, Floats | None]:
    """The same for a DeskProblem."""
    groups = padded(len(problem.group_low), 1)
    program = _desk_program(padded(len(problem.lot_value)), groups, fewest_trades=False)
    return _solve(program, problem, time_limit_s)


def solve_fewest_trades(
    problem: DeskProblem, time_limit_s: float
) -> tuple[SolverAnswer, Floats | None]:
    """Fewest trades among the plans whose objective is at most ``objective_most``."""
    groups = padded(len(problem.group_low), 1)
    program = _desk_program(padded(len(problem.lot_value)), groups, fewest_trades=True)
    return _solve(program, problem, time_limit_s)


def _solve(
    program: CompiledProgram, problem: CashProblem | DeskProblem, time_limit_s: float
) -> tuple[SolverAnswer, Floats | None]:
    count = len(problem.lot_value)
    parameters = {name: getattr(problem, name) for name in _field_names(type(problem))}
    answer = program.solve(parameters, time_limit_s, count)
    if answer.values is None:
        return answer, None
    return answer, answer.values["x"] - answer.values["down"] + answer.values["up"]


@cache
def _field_names(problem: type[CashProblem | DeskProblem]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(problem))


def padded(count: int, smallest: int = SMALLEST_SIZE) -> int:
    """The compiled size that serves ``count``."""
    return max(smallest, 1 << (count - 1).bit_length() if count else 0)


@cache
def _cash_program(size: int) -> CompiledProgram:
    hull = _Hull(size, whole=True)
    limit = cp.Parameter(name="limit")
    rows = [*hull.bounds, hull.lot_value @ hull.lots <= limit]
    return _compiled(hull.drift, rows, ABSOLUTE_GAP)


class _Hull:
    """Lots above k as x - down + up, with their bounds."""

    def __init__(self, size: int, *, whole: bool) -> None:
        self.x = cp.Variable(size, boolean=True, name="x")
        self.down = cp.Variable(size, integer=whole, name="down")
        self.up = cp.Variable(size, integer=whole, name="up")
        self.lots = self.x - self.down + self.up
        names = ("lot_value", "chord", "chords", "most_down", "most_up")
        parameters = (cp.Parameter(size, name=name) for name in names)
        self.lot_value, self.chord, chords, most_down, most_up = parameters
        self.bounds: list[cp.Constraint] = [
            self.x <= chords,
            self.down >= 0,
            self.down <= most_down,
            self.up >= 0,
            self.up <= most_up,
        ]

    @property
    def drift(self) -> Any:
        """The objective above k lots."""
        return self.chord @ self.x + self.lot_value @ (self.down + self.up)


class _Trades:
    """Lots bought and sold, with a boolean for each trade."""

    def __init__(self, size: int, hull: _Hull) -> None:
        self.buy = cp.Variable(size, integer=True, name="buy")
        self.sell = cp.Variable(size, integer=True, name="sell")
        self.buys = cp.Variable(size, boolean=True, name="buys")
        self.sells = cp.Variable(size, boolean=True, name="sells")
        names = ("base_trade", "most_buy", "most_sell", "least_trade")
        base_trade, most_buy, most_sell, least = (cp.Parameter(size, name=n) for n in names)
        self.rows: list[cp.Constraint] = [
            self.buy - self.sell == hull.lots + base_trade,
            self.buy <= cp.multiply(most_buy, self.buys),
            self.buy >= cp.multiply(least, self.buys),
            self.sell <= cp.multiply(most_sell, self.sells),
            self.sell >= cp.multiply(least, self.sells),
            self.buys + self.sells <= 1,
        ]
        self.lots = self.buy + self.sell
        self.count = cp.sum(self.buys + self.sells)


@cache
def _desk_program(size: int, groups: int, *, fewest_trades: bool) -> CompiledProgram:
    # Lots bought and sold are whole, so down and up are without saying so: twice as fast at N = 50.
    hull = _Hull(size, whole=False)
    trades = _Trades(size, hull)
    limits, given = _limits(size, groups, hull, trades)
    bands, outside = _soft_bands(size, hull)
    objective = hull.drift + cp.Parameter(name="soft_price") * outside
    objective += cp.Parameter(size, name="objective_rate_value") @ trades.lots
    objective += cp.Parameter(name="objective_per_trade") * trades.count
    rows = [*hull.bounds, *trades.rows, *limits, *bands]
    if fewest_trades:
        rows.append(objective <= cp.Parameter(name="objective_most"))
        objective, gap = trades.count, COUNT_GAP
    else:
        objective, gap = objective + GIVE_PRICE * given, ABSOLUTE_GAP
    return _compiled(objective, rows, gap)


def _compiled(objective: Any, rows: list[cp.Constraint], absolute_gap: float) -> CompiledProgram:
    problem = cp.Problem(cp.Minimize(objective), rows)
    of_securities = [one for one in problem.variables() if not one.name().startswith(GIVES)]
    return CompiledProgram(problem, absolute_gap, of_securities)


def _limits(
    size: int, groups: int, hull: _Hull, trades: _Trades
) -> tuple[list[cp.Constraint], Any]:
    """The coupling rows, each with a variable for how much it gives; and the sum of these."""
    names = ("floor", "ceiling", "turnover", "trades")
    floor, ceiling, turnover, more = (cp.Variable(name=GIVES + name) for name in names)
    low, high = (cp.Variable(groups, name=f"{GIVES}group_{side}") for side in ("low", "high"))
    gives = [floor, ceiling, turnover, more, low, high]
    give_floor, give_others = cp.Parameter(name="give_floor"), cp.Parameter(name="give_others")
    rate_value = cp.Parameter(size, name="rate_value")
    spent = hull.lot_value @ hull.lots + rate_value @ trades.lots
    spent += cp.Parameter(name="per_trade") * trades.count
    value = cp.Parameter((groups, size), name="group_value") @ hull.lots
    rows: list[cp.Constraint] = [
        spent <= cp.Parameter(name="limit") + floor,
        spent >= cp.Parameter(name="limit_low") - ceiling,
        hull.lot_value @ trades.lots <= cp.Parameter(name="turnover") + turnover,
        trades.count <= cp.Parameter(name="trades") + more,
        value >= cp.Parameter(groups, name="group_low") - low,
        value <= cp.Parameter(groups, name="group_high") + high,
        floor <= give_floor,
        *(give <= give_others for give in gives[1:]),
        *(give >= 0 for give in gives),
    ]
    return rows, cp.sum(cp.hstack([floor, ceiling, turnover, more, low, high]))


def _soft_bands(size: int, hull: _Hull) -> tuple[list[cp.Constraint], Any]:
    under, over = (cp.Variable(size, name=name) for name in ("under", "over"))
    low, high = (cp.Parameter(size, name=name) for name in ("band_low", "band_high"))
    value = cp.multiply(hull.lot_value, hull.lots)
    rows: list[cp.Constraint] = [under >= 0, over >= 0, value + under >= low, value - over <= high]
    return rows, cp.sum(under + over)
