"""The integer programs, as CVXPY models.

Drift is modelled by its convex hull over whole lots. With k the lots at or just below the target and
r = t - k p, the count is z = k + x - d + e, x in {0, 1}, whole d, e >= 0, and at every whole z

    |t - p z| = |r| + (|p - r| - |r|) x + p (d + e)

the two arms and the chord between the two counts around the target. The linear relaxation of |.| itself
is near 0 and has to be branched away; this is the hull of each security. Everything is shifted by k, so
the large numbers never reach a row. Problems are padded to a few sizes, each compiled once a process.
"""

from dataclasses import dataclass, fields, replace
from functools import cache

import cvxpy as cp
import numpy as np

from optimization.compiled import CompiledProgram, Floats, SolverAnswer

SMALLEST_SIZE = 8
ABSOLUTE_GAP = 0.01  # currency; sums of six-decimal prices do not close at 0 in any useful time
SOFT_PRICE = 1000.0  # of one unit of value outside a band, against one unit of drift


@dataclass(frozen=True, slots=True, eq=False)
class CashProblem:
    """Drift under the cash row, shifted by k; arrays of shape (n,), money in currency."""

    lot_value: Floats
    chord: Floats  # drift of one lot above k
    chords: Floats  # 1 where that lot is inside the band, else 0
    most_down: Floats  # whole lots from k down to the band's edge
    most_up: Floats  # whole lots from k + 1 up to the band's edge
    limit: float  # what may still be invested above k lots of everything

    def tightened(self) -> "CashProblem":
        """The same with a tolerance taken off the limit."""
        return replace(self, limit=self.limit - 1e-6 * max(1.0, abs(self.limit)))


@dataclass(frozen=True, slots=True, eq=False)
class SoftProblem(CashProblem):
    """The same with bands that may be left at a price; the limits are then those of any plan."""

    band_low: Floats  # least value of a position in its band, above k lots
    band_high: Floats


def solve_cash(problem: CashProblem, time_limit_s: float) -> tuple[SolverAnswer, Floats | None]:
    """The lots above k of each security, as the solver sees them; None without a plan."""
    return _solve(_cash_program(padded(len(problem.lot_value))), problem, time_limit_s)


def solve_soft(problem: SoftProblem, time_limit_s: float) -> tuple[SolverAnswer, Floats | None]:
    """The same where leaving a band costs SOFT_PRICE times what is outside it."""
    return _solve(_soft_program(padded(len(problem.lot_value))), problem, time_limit_s)


def _solve(
    program: CompiledProgram, problem: CashProblem, time_limit_s: float
) -> tuple[SolverAnswer, Floats | None]:
    count = len(problem.lot_value)
    padding = np.zeros(padded(count) - count)
    parameters: dict[str, Floats | float] = {}
    for field in fields(problem):
        value = getattr(problem, field.name)
        is_array = isinstance(value, np.ndarray)
        parameters[field.name] = np.concatenate((value, padding)) if is_array else value
    answer = program.solve(parameters, time_limit_s)
    if answer.values is None:
        return answer, None
    lots = answer.values["x"] - answer.values["down"] + answer.values["up"]
    return answer, lots[:count]


def padded(count: int) -> int:
    """The compiled size that serves ``count`` securities."""
    return max(SMALLEST_SIZE, 1 << (count - 1).bit_length())


@cache
def _cash_program(size: int) -> CompiledProgram:
    objective, rows, _ = _hull(size)
    return CompiledProgram(cp.Problem(cp.Minimize(objective), rows), ABSOLUTE_GAP)


@cache
def _soft_program(size: int) -> CompiledProgram:
    objective, rows, value = _hull(size)
    under, over = (cp.Variable(size, name=name) for name in ("under", "over"))
    band_low, band_high = (cp.Parameter(size, name=name) for name in ("band_low", "band_high"))
    rows += [under >= 0, over >= 0, value + under >= band_low, value - over <= band_high]
    objective += SOFT_PRICE * cp.sum(under + over)
    return CompiledProgram(cp.Problem(cp.Minimize(objective), rows), ABSOLUTE_GAP)


def _hull(size: int) -> tuple[cp.Expression, list[cp.Constraint], cp.Expression]:
    """The drift above k lots, the bounds with the cash row, and the value above k lots."""
    x = cp.Variable(size, boolean=True, name="x")
    down = cp.Variable(size, integer=True, name="down")
    up = cp.Variable(size, integer=True, name="up")
    names = ("lot_value", "chord", "chords", "most_down", "most_up")
    lot_value, chord, chords, most_down, most_up = (cp.Parameter(size, name=n) for n in names)
    limit = cp.Parameter(name="limit")
    rows: list[cp.Constraint] = [
        lot_value @ (x - down + up) <= limit,
        x <= chords,
        down >= 0,
        down <= most_down,
        up >= 0,
        up <= most_up,
    ]
    value = cp.multiply(lot_value, x - down + up)
    return chord @ x + lot_value @ (down + up), rows, value
