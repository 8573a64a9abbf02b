"""A clear plan is the plan of the solver; there is none where the solver could find another."""

from dataclasses import replace
from fractions import Fraction

from hypothesis import assume, given, settings

from optimization import Model, Portfolio, RebalanceOptions, TimeBudget, price_targets
from optimization.exact.block_builder import build_block
from optimization.exact.constraints import band_edges
from optimization.exact.scaled_integers import ModelUnits
from optimization.solvers.clear_plan import find_clear_plan
from optimization.solvers.coupled import solve_program
from optimization.solvers.coupled_problem import CoupledProblem
from optimization.solvers.separable import relax
from tests.optimization.support.coupled_problems import coupled
from tests.optimization.support.random_problems import small_problems

PRICE = Fraction(1000)


def soften(problem: CoupledProblem) -> CoupledProblem:
    edges = tuple(band_edges(problem.block))
    return replace(problem, constraints=replace(problem.constraints, soft_price=PRICE, edges=edges))


@settings(max_examples=150, deadline=None)
@given(small_problems())
def test_a_clear_plan_is_the_plan_of_the_solver(problem: tuple[Model, Portfolio]) -> None:
    model, portfolio = problem
    securities, options = price_targets(model, portfolio.prices), RebalanceOptions()
    others = ModelUnits.from_targets(securities).others.price_holdings(portfolio)
    relaxed = relax(build_block(securities, others, [portfolio], options), options)
    soft = soften(CoupledProblem.from_relaxation(relaxed, 0))
    lots = find_clear_plan(soft)
    assume(lots is not None)
    assert lots is not None

    plan = solve_program(soft, TimeBudget())

    assert plan is not None
    assert lots.tolist() == plan.lots.tolist()


# Of 20.00, lots of 3.00: between 6.50 and 7.50, with a target of 7.00.
NARROW = (300, 350, 25, 25, 0)


def test_the_lots_nearest_to_an_empty_band_are_clear():
    lots = find_clear_plan(soften(coupled(NARROW, worth=2000)))

    assert lots is not None
    assert lots.tolist() == [2]  # 0.50 below the band; three would be 1.50 above it


def test_lots_that_are_as_near_on_both_sides_are_not_clear():
    assert find_clear_plan(soften(coupled((300, 375, 25, 25, 0), worth=2000))) is None


def test_lots_that_the_cash_does_not_pay_are_no_plan():
    # Two lots of 3.00 are nearest to each of four bands, and 24.00 are more than there is.
    many = ((300, 275, 25, 25, 0),) * 4

    assert find_clear_plan(soften(coupled(*many, worth=2000))) is None


def test_limits_beside_the_cash_floor_are_left_to_the_solver():
    problem = soften(coupled(NARROW, worth=2000, trades=3))

    assert find_clear_plan(problem) is None
