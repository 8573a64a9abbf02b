"""Answers at once: those of rebalance_all where the separable optimum is the plan, else none."""

from decimal import Decimal

import pytest
from hypothesis import given

from optimization.domain.model import Model
from optimization.domain.options import RebalanceOptions
from optimization.domain.portfolio import Portfolio, price_targets
from optimization.engine import rebalance_all, rebalance_at_once
from tests.optimization.support.by_hand import model, portfolio
from tests.optimization.support.generated_problems import problem_of
from tests.optimization.support.random_problems import problems_with_options, small_problems


def compare(model: Model, held: Portfolio, options: RebalanceOptions) -> bool:
    """Compare both answers where there is one at once; return whether there is."""
    securities = price_targets(model, held.prices)
    at_once = rebalance_at_once(securities, [held], options)
    if at_once is None:
        return False
    assert at_once == rebalance_all(securities, [held], options)
    return True


@given(small_problems())
def test_an_answer_at_once_is_the_answer(problem: tuple[Model, Portfolio]):
    compare(*problem, RebalanceOptions())


@given(problems_with_options())
def test_an_answer_at_once_is_the_answer_under_options(
    problem: tuple[Model, Portfolio, RebalanceOptions],
):
    compare(*problem)


def test_most_generated_problems_without_options_have_an_answer_at_once():
    problems = [problem_of(7, number) for number in range(60)]

    answered = [compare(problem.model, problem.portfolio, problem.options) for problem in problems]

    assert any(answered)
    assert not all(answered)


def test_a_portfolio_whose_cash_row_binds_needs_a_search():
    wide = model("0.2", A="0.315", B="0.315", C="0.315")
    held = portfolio("100", {"A": "17.50", "B": "17.50", "C": "17.50"})
    securities = price_targets(wide, held.prices)

    assert rebalance_at_once(securities, [held], RebalanceOptions(cash_floor=Decimal(10))) is None


@pytest.mark.parametrize("options", [{"maximum_trades": 9}, {"cost_per_trade": 1}, {"groups": ()}])
def test_options_that_couple_securities_need_a_search(options: dict[str, object]):
    held = portfolio("500", {"A": "10"}, A="40")
    securities = price_targets(model(A="0.5"), held.prices)

    couples = RebalanceOptions(**options)  # type: ignore[arg-type]
    found = rebalance_at_once(securities, [held], couples)

    assert (found is None) == bool(next(iter(options.values())))
