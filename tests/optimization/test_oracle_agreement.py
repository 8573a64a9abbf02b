"""The engine agrees with enumeration on small problems and scipy's MILP on larger ones."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from math import prod

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

from optimization.domain.certificate import Method
from optimization.domain.model import Model
from optimization.domain.options import RebalanceOptions
from optimization.domain.outcome import PortfolioOutcome, Status
from optimization.domain.portfolio import Portfolio, price_targets
from optimization.engine import DEFAULTS, rebalance
from optimization.exact.block import compute_bands
from optimization.exact.block_builder import build_block
from optimization.solvers.cash_constrained import (
    CashConstrainedProblem,
    solve_by_program,
    solve_cash_constrained,
)
from optimization.solvers.separable import solve
from optimization.time_budget import TimeBudget
from tests.optimization.support.oracle import best_by_enumeration, best_by_milp, limit_of, rows_of
from tests.optimization.support.random_problems import (
    random_problem,
    small_problems,
    tight_problems,
)

MAX_COMBINATIONS = 5_000
small = settings(max_examples=1_500, deadline=None, suppress_health_check=list(HealthCheck))


def assert_agrees(answer: PortfolioOutcome, best: Fraction | None) -> None:
    if best is None:
        assert answer.status is Status.INFEASIBLE
        return
    assert answer.certificate is not None
    gap = Fraction(answer.certificate.objective) - best
    assert gap == 0 or (answer.certificate.method is Method.MILP and 0 < gap <= Fraction(1, 100))


def assert_sound(
    answer: PortfolioOutcome, model: Model, portfolio: Portfolio, floor: Decimal
) -> None:
    """Check every rule of the problem, from the answer alone."""
    rows = {row.security_id: row for row in rows_of(model, portfolio)}
    spent = Fraction(0)
    for drift in answer.drifts:
        row = rows[drift.security.security_id]
        change = Fraction(drift.adjusted_quantity) - row.held
        assert change.denominator == 1
        assert int(change) in row.counts
        spent += Fraction(drift.adjusted_quantity) * row.price
    assert answer.cash_after is not None
    assert Fraction(answer.cash_after) == Fraction(portfolio.market_value) - spent
    assert answer.cash_after >= floor


@small
@given(small_problems())
def test_random_problems_have_the_objective_of_exhaustive_enumeration(
    problem: tuple[Model, Portfolio],
):
    model, portfolio = problem
    rows = rows_of(model, portfolio)
    assume(prod(max(1, len(row.counts)) for row in rows) <= MAX_COMBINATIONS)

    answer = rebalance(model, portfolio)

    assert_agrees(answer, best_by_enumeration(rows, limit_of(portfolio)))
    if answer.refusal is None:
        assert_sound(answer, model, portfolio, Decimal(0))


@small
@given(tight_problems())
def test_random_problems_short_of_cash_have_the_objective_of_exhaustive_enumeration(
    problem: tuple[Model, Portfolio, Decimal],
):
    model, portfolio, floor = problem
    rows = rows_of(model, portfolio)
    assume(prod(max(1, len(row.counts)) for row in rows) <= MAX_COMBINATIONS)

    answer = rebalance(model, portfolio, RebalanceOptions(cash_floor=floor))

    assert_agrees(answer, best_by_enumeration(rows, limit_of(portfolio, floor)))
    if answer.refusal is None:
        assert_sound(answer, model, portfolio, floor)


@pytest.mark.parametrize("digits", [2, 6])
@pytest.mark.parametrize("count", [5, 10, 30])
def test_larger_problems_have_the_objective_of_an_independent_formulation(count: int, digits: int):
    rng = np.random.default_rng(count * digits)
    agreed = 0
    for _ in range(8):
        model, portfolio = random_problem(rng, count, 200_000, drift=0.03, digits=digits)
        slack = rebalance(model, portfolio)
        if slack.cash_after is None or slack.refusal is not None:
            continue
        floor = slack.cash_after + Decimal(int(rng.integers(0, 20_000))) / 100
        answer = rebalance(model, portfolio, RebalanceOptions(cash_floor=floor))
        best = best_by_milp(rows_of(model, portfolio), limit_of(portfolio, floor))

        if best is None:
            assert answer.status is Status.INFEASIBLE
            continue
        assert answer.certificate is not None
        assert float(answer.certificate.objective) == pytest.approx(best, abs=0.02)
        assert_sound(answer, model, portfolio, floor)
        agreed += 1
    assert agreed >= 5


def test_the_cvxpy_program_reaches_the_objective_of_the_cover():
    rng = np.random.default_rng(7)
    for count in (3, 8, 9, 40):
        model, portfolio = random_problem(rng, count, 300_000, drift=0.05)
        assembled = build_block(price_targets(model, portfolio.prices), (), [portfolio], DEFAULTS)
        where = compute_bands(assembled.block)
        best = solve(assembled.block, where)
        for shortfall in (1, 5_000, 77_777):
            block = assembled.block
            limit = best.invested - shortfall
            short = replace(block, investable=limit)
            problem = CashConstrainedProblem(
                portfolio.portfolio_id, short, where, best.lots[0], shortfall
            )
            by_cover = solve_cash_constrained(problem, TimeBudget(10.0))
            by_program = solve_by_program(problem, TimeBudget(10.0))
            assert not isinstance(by_cover, int)
            assert by_cover.certificate.method is Method.COVER
            gap = by_program.certificate.objective - by_cover.certificate.objective
            assert 0 <= gap <= Decimal("0.01")
