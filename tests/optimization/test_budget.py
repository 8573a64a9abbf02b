"""One time budget for all calls of the solver that a portfolio needs."""

import time
from decimal import Decimal

import numpy as np
import pytest

from optimization import program
from optimization.budget import Budget
from optimization.compiled import SolverAnswer
from optimization.engine import rebalance
from optimization.errors import CertificationError
from optimization.model import DriftBand, Model, Target
from optimization.options import RebalanceOptions
from optimization.portfolio import Portfolio

A = "A" * 24
HALF = Model("Half", (Target(A, Decimal("0.5"), DriftBand(Decimal("0.3"), Decimal("0.3"))),), (A,))


TAKEN_S = 0.01


@pytest.fixture
def given_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the solver is given; it takes some of that each time and answers what overdraws the account."""
    given: list[float] = []

    def solved(_problem: object, time_limit_s: float):
        given.append(time_limit_s)
        time.sleep(TAKEN_S)
        answer = SolverAnswer({}, 0.0, proven=True, infeasible=False, seconds=TAKEN_S)
        return answer, np.array([9.0])

    monkeypatch.setattr(program, "solve_desk", solved)
    return given


def rebalanced(options: RebalanceOptions) -> None:
    rebalance(HALF, Portfolio(A, Decimal(100), {}, {A: Decimal(8)}), options)


def test_a_further_call_gets_what_the_ones_before_it_left(given_s: list[float]):
    with pytest.raises(CertificationError):
        rebalanced(RebalanceOptions(cash_ceiling=Decimal(40), time_limit_s=5.0))

    first, second, third = given_s
    assert 5.0 >= first >= second + TAKEN_S >= third + 2 * TAKEN_S


def test_nothing_is_left_of_a_budget_that_is_spent_and_never_less(given_s: list[float]):
    with pytest.raises(CertificationError):
        rebalanced(RebalanceOptions(cash_ceiling=Decimal(40), time_limit_s=1.5 * TAKEN_S))

    assert given_s[0] > 0
    assert given_s[2] == 0.0
    assert Budget(1.0, begin=0.0).left_s == 0.0
