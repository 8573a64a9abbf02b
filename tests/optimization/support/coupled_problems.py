"""Coupled problems of one portfolio, in whole numbers for work by hand."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

from optimization.exact.block import compute_bands
from optimization.exact.constraints import CouplingConstraints
from optimization.solvers.cash_constrained import CashConstrainedProblem
from optimization.solvers.coupled_problem import CoupledProblem
from optimization.solvers.separable import solve
from tests.optimization.support.blocks import block

# Of 10.00: 7.00 in lots of 3.00, from 3.00 to 10.00. Two lots miss by 1.00, one by 4.00, three by
# 2.00.
WIDE = (300, 700, 400, 300, 0)
# Of 20.00: the same twice; two lots of one are held and one of the other.
TWO = ((300, 350, 200, 150, 2), (300, 350, 200, 150, 1))
NONE = CouplingConstraints(
    cash_least=Fraction(0),
    cash_most=None,
    turnover=None,
    trades=None,
    rate=Fraction(0),
    per_trade=Fraction(0),
    costs_in_objective=False,
    soft_price=None,
    least_trade=(1,),
    groups=(),
    edges=((Fraction(300), Fraction(1000)),),
)


def coupled(
    *securities: tuple[int, int, int, int, int], worth: int = 1000, **given: Any
) -> CoupledProblem:
    made = block(worth, *securities)
    where = compute_bands(made)
    separable = solve(made, where)
    cash_problem = CashConstrainedProblem("P" * 24, made, where, separable.lots[0], 0)
    given.setdefault("least_trade", (1,) * len(securities))
    given.setdefault("edges", NONE.edges * len(securities))
    return CoupledProblem(cash_problem, replace(NONE, **given))
