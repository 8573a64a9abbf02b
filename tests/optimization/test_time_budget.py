"""Time budget: one for all solver calls of a portfolio, and for all portfolios of a call."""

import threading
import time
from collections.abc import Callable
from decimal import Decimal

import cvxpy as cp
import numpy as np
import pytest

from optimization.domain.certificate import Proof
from optimization.domain.drift_band import DriftBand
from optimization.domain.model import Model, Target
from optimization.domain.options import RebalanceOptions
from optimization.domain.outcome import PortfolioOutcome, Status
from optimization.domain.portfolio import Portfolio, price_targets
from optimization.engine import rebalance, rebalance_all
from optimization.errors import (
    CertificationError,
    NoSolutionInTimeError,
    SolverInterruptedError,
)
from optimization.explain import outside_band
from optimization.milp import formulations
from optimization.milp.parametric import ParametricMilp, SolverAnswer
from optimization.solvers import cash_rows, coupled
from optimization.time_budget import TimeBudget

A, B = "A" * 24, "B" * 24
HALF = Model("Half", (Target(A, Decimal("0.5"), DriftBand(Decimal("0.3"), Decimal("0.3"))),), (A,))


TAKEN_S = 0.01


@pytest.fixture
def given_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record the time the solver is given; it uses some and answers with an overdraft."""
    given: list[float] = []

    def solved(_problem: object, budget: TimeBudget):
        given.append(budget.left_s)
        time.sleep(TAKEN_S)
        answer = SolverAnswer({}, 0.0, proven=True, infeasible=False, seconds=TAKEN_S)
        return answer, np.array([9.0])

    monkeypatch.setattr(formulations, "solve_coupled", solved)
    return given


def rebalance_once(options: RebalanceOptions) -> None:
    rebalance(HALF, Portfolio(A, Decimal(100), {}, {A: Decimal(8)}), options)


def test_a_further_call_gets_what_the_ones_before_it_left(given_s: list[float]):
    with pytest.raises(CertificationError):
        rebalance_once(RebalanceOptions(cash_ceiling=Decimal(40), time_limit_s=5.0))

    first, second, third = given_s
    assert 5.0 >= first >= second + TAKEN_S >= third + 2 * TAKEN_S


def test_nothing_is_left_of_a_budget_that_is_spent_and_never_less(given_s: list[float]):
    with pytest.raises(CertificationError):
        rebalance_once(RebalanceOptions(cash_ceiling=Decimal(40), time_limit_s=1.5 * TAKEN_S))

    assert given_s[0] > 0
    assert given_s[2] == 0.0
    assert TimeBudget(1.0, begin=0.0).left_s == 0.0


def accounts(*cash: int) -> list[Portfolio]:
    prices = {A: Decimal(8)}
    return [
        Portfolio(f"{number:024}", Decimal(amount), {}, prices)
        for number, amount in enumerate(cash)
    ]


def all_rebalanced(portfolios: list[Portfolio], budget: TimeBudget, **options: object):
    securities = price_targets(HALF, portfolios[0].prices)
    typed = RebalanceOptions(**options)  # pyright: ignore[reportArgumentType]
    return rebalance_all(securities, portfolios, typed, budget)


def test_portfolios_that_need_a_search_share_what_is_left_of_the_call(given_s: list[float]):
    answers = all_rebalanced(accounts(100, 100), TimeBudget(6.0), cash_ceiling=Decimal(40))

    assert [type(answer) for answer in answers] == [CertificationError] * 2
    assert 2.0 < given_s[0] <= 3.0  # a second for a busy machine
    assert 5.0 < given_s[3] <= 6.0  # all that the first one did not use


def test_a_portfolio_that_needs_no_search_takes_no_part_of_the_budget(
    monkeypatch: pytest.MonkeyPatch,
):
    given: list[float] = []

    def solved(_tight: object, budget: TimeBudget):
        given.append(budget.left_s)

    monkeypatch.setattr(cash_rows, "cover", lambda *_: None)
    monkeypatch.setattr(coupled, "solve_cash_constrained", solved)

    # Six lots of 8 of 100.00 leave 52.00, less than the floor; 1000.00 and 2000.00 leave more.
    answers = all_rebalanced(accounts(2000, 100, 1000), TimeBudget(6.0), cash_floor=Decimal(60))

    assert [answer.status for answer in answers if isinstance(answer, PortfolioOutcome)] == [
        Status.REBALANCED,
        Status.INFEASIBLE,
        Status.REBALANCED,
    ]
    (alone,) = given
    assert alone > 5.0


def test_the_explanation_of_a_kept_position_shares_the_budget_of_the_call(
    monkeypatch: pytest.MonkeyPatch,
):
    given: list[TimeBudget] = []
    monkeypatch.setattr(outside_band, "least_violation", lambda _, share: given.append(share))
    holder = Portfolio(A, Decimal(60), {B: Decimal(5)}, {A: Decimal(8), B: Decimal(8)})
    budget = TimeBudget(1.0)

    (answer,) = all_rebalanced([holder], budget, do_not_sell=frozenset({B}))
    budget.interrupt()

    assert isinstance(answer, PortfolioOutcome)
    assert [security.security_id for security in answer.outside_band] == [B]
    assert {(share.total_s <= 1.0, share.is_interrupted) for share in given} == {(True, True)}


def test_no_portfolio_gets_more_than_its_own_time_limit(given_s: list[float]):
    all_rebalanced(accounts(100), TimeBudget(60.0), cash_ceiling=Decimal(40), time_limit_s=2.0)

    assert 1.9 < given_s[0] <= 2.0


def test_without_time_the_portfolios_that_need_a_search_say_so_and_the_others_are_answered(
    monkeypatch: pytest.MonkeyPatch,
):
    nothing = SolverAnswer(None, 0.0, proven=False, infeasible=False, seconds=0.0)
    monkeypatch.setattr(formulations, "solve_coupled", lambda *_: (nothing, None))
    answers = all_rebalanced(accounts(75, 1000), TimeBudget(0.0), cash_ceiling=Decimal(40))

    assert isinstance(answers[0], PortfolioOutcome)
    assert answers[0].status is Status.REBALANCED
    assert isinstance(answers[1], NoSolutionInTimeError)


def test_a_budget_that_was_interrupted_begins_nothing(given_s: list[float]):
    budget = TimeBudget()
    budget.interrupt()
    with pytest.raises(SolverInterruptedError):
        all_rebalanced(accounts(75), budget)
    assert budget.share(2).is_interrupted
    assert given_s == []


def test_an_interruption_between_two_portfolios_ends_the_call(monkeypatch: pytest.MonkeyPatch):
    budget, asked = TimeBudget(), []

    def solved(problem: object, share: TimeBudget):
        asked.append(problem)
        budget.interrupt()
        assert share.is_interrupted
        return SolverAnswer(None, 0.0, proven=False, infeasible=False, seconds=0.0), None

    monkeypatch.setattr(formulations, "solve_coupled", solved)
    with pytest.raises(SolverInterruptedError):
        all_rebalanced(accounts(1000, 1000), budget, cash_ceiling=Decimal(40))
    assert len(asked) == 1


def test_the_solver_stops_when_another_thread_interrupts_its_budget(
    endless: Callable[[TimeBudget], SolverAnswer],
):
    budget = TimeBudget(600.0)
    threading.Timer(0.2, budget.interrupt).start()
    with pytest.raises(SolverInterruptedError):
        endless(budget)


def test_the_program_that_was_interrupted_answers_the_next_call(
    endless: Callable[[TimeBudget], SolverAnswer],
):
    budget = TimeBudget(600.0)
    threading.Timer(0.1, budget.interrupt).start()
    with pytest.raises(SolverInterruptedError):
        endless(budget)
    assert endless(TimeBudget(2.0)).values is not None


@pytest.fixture
def endless() -> Callable[[TimeBudget], SolverAnswer]:
    """A program that keeps the solver busy far beyond the patience of any test."""
    rng = np.random.default_rng(1)
    weights = rng.integers(0, 100, (5, 60))
    x, over = cp.Variable(60, boolean=True, name="x"), cp.Variable(5, name="over")
    half = weights.sum(axis=1) // 2
    rows = [over >= 0, weights @ x - over <= cp.Parameter(5, name="half"), over <= 4_000]
    rows.append(weights @ x + over >= half)
    made = ParametricMilp(cp.Problem(cp.Minimize(cp.sum(over)), rows))
    return lambda budget: made.solve({"half": half * 1.0}, budget, 0.01)


def test_a_plan_whose_search_for_fewer_trades_ran_out_of_time_says_so(
    monkeypatch: pytest.MonkeyPatch,
):
    late = SolverAnswer(None, 0.0, proven=False, infeasible=False, seconds=1.0)
    monkeypatch.setattr(formulations, "solve_fewest_trades", lambda *_: (late, None))

    (plan,) = all_rebalanced(
        accounts(75), TimeBudget(), cash_ceiling=Decimal(40), fewest_trades=True
    )

    assert isinstance(plan, PortfolioOutcome)
    assert plan.certificate is not None
    assert plan.certificate.proof is Proof.FEASIBLE_TIME_LIMIT
