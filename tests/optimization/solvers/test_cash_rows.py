"""Cash rows of a block against the search for a single portfolio."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from optimization.domain.certificate import Method
from optimization.domain.drift_band import DriftBand
from optimization.domain.model import Model, Target
from optimization.domain.numbers import Percent
from optimization.domain.options import RebalanceOptions
from optimization.domain.portfolio import Portfolio, PricedTarget, price_others, price_targets
from optimization.engine import rebalance_all
from optimization.errors import SolverInterruptedError
from optimization.exact.block_builder import build_block
from optimization.solvers import cash_rows
from optimization.solvers.cash_rows import solve_cash_rows
from optimization.solvers.coupled import solve_at_base
from optimization.solvers.coupled_problem import CoupledProblem
from optimization.solvers.separable import SeparableRelaxation, relax
from optimization.time_budget import TimeBudget
from tests.optimization.support.generated_problems import Problem, round_numbers, tight
from tests.optimization.support.random_problems import PORTFOLIO, random_problem, security_id

FLOOR = RebalanceOptions(cash_floor=Percent(Decimal(5)))


def book(seed: int) -> tuple[tuple[PricedTarget, ...], list[Portfolio]]:
    """Sixty accounts of one model, in which the floor of 5 % binds more often than not."""
    rng = np.random.default_rng([13, seed])
    value = float(rng.choice([4_000, 30_000, 300_000]))
    model, first = random_problem(rng, int(rng.integers(2, 25)), value, drift=0.03)
    accounts: list[Portfolio] = []
    for number in range(60):
        held = {
            s: Decimal(int(u * Decimal(rng.uniform(0.7, 1.3)))) for s, u in first.holdings.items()
        }
        cash = first.cash + Decimal(int(rng.integers(-500, 500))) / 100
        accounts.append(Portfolio(f"{number:024d}", cash, held, first.prices))
    return price_targets(model, first.prices), accounts


def relaxed_book(seed: int) -> SeparableRelaxation:
    model, accounts = book(seed)
    return relax(build_block(model, (), accounts, FLOOR), FLOOR)


def solve(relaxed: SeparableRelaxation, budget: TimeBudget | None = None):
    block, bands = relaxed.block, relaxed.bands
    return solve_cash_rows(block, bands, relaxed.separable, budget or TimeBudget())


def equal_lots(rng: np.random.Generator) -> Problem:
    """Draw lots of one value, of which any may be given up, so that many plans are equally good."""
    prices = {security_id(i): Decimal(10) for i in range(4)}
    band = DriftBand(Decimal("0.2"), Decimal("0.2"))
    targets = tuple(Target(security, Decimal("0.2"), band) for security in prices)
    held = {security: Decimal(int(rng.integers(2, 4))) for security in prices}
    account = Portfolio(PORTFOLIO, Decimal(130) - 10 * sum(held.values()), held, prices)
    options = RebalanceOptions(cash_floor=Decimal(int(rng.integers(2, 6)) * 10))
    return Problem("equal", Model("equal", targets, (PORTFOLIO,)), account, options)


def draw_books() -> Iterator[SeparableRelaxation]:
    """Books, and single accounts of few lots."""
    yield from map(relaxed_book, range(30))
    for kind, count in ((tight, 1_000), (round_numbers, 1_000), (equal_lots, 200)):
        for number in range(count):
            problem = kind(np.random.default_rng([17, number]))
            options, held = problem.options, problem.portfolio
            if options.restricts or options.couples or options.fewest_trades:
                continue
            model = price_targets(problem.model, held.prices)
            yield relax(build_block(model, price_others(model, held), [held], options), options)


def test_each_plan_is_that_of_the_single_search():
    compared = left_out = 0
    for relaxed in draw_books():
        plans = solve(relaxed)
        short = relaxed.separable.invested > relaxed.block.investable
        for row in np.flatnonzero(relaxed.separable.admits & short).tolist():
            coupled = CoupledProblem.from_relaxation(relaxed, row)
            single = solve_at_base(coupled, relaxed.options, TimeBudget())
            if row not in plans:
                if single is not None and single.certificate.method is Method.COVER:
                    assert (single.lots == coupled.block.before[0]).all()
                    left_out += 1
                continue
            assert single is not None
            assert plans[row].lots.tolist() == single.lots.tolist()
            assert repr(plans[row].certificate) == repr(single.certificate)
            compared += 1
    assert compared > 900
    assert left_out > 5


def test_a_portfolio_has_one_answer_alone_and_in_any_company():
    for seed in range(2):
        model, accounts = book(seed)
        together = rebalance_all(model, accounts, FLOOR)
        alone = [rebalance_all(model, [account], FLOOR)[0] for account in accounts]
        prices = dict(accounts[0].prices)
        apart = [replace(account, prices=dict(prices)) for account in accounts]
        assert repr(together) == repr(alone) == repr(rebalance_all(model, apart, FLOOR))


def test_rows_without_a_shortfall_have_no_plan_here():
    relaxed = relaxed_book(1)
    slack = replace(relaxed.block, investable=relaxed.separable.invested)

    assert solve(replace(relaxed, block=slack)) == {}


def test_a_cover_that_grows_too_large_is_left_to_a_search_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(cash_rows, "cover", lambda *_: None)

    assert solve(relaxed_book(1)) == {}


def test_an_interruption_between_two_covers_ends_the_call(monkeypatch: pytest.MonkeyPatch):
    budget, asked = TimeBudget(), list[int]()

    def interrupted(_steps: object, shortfall: int) -> None:
        asked.append(shortfall)
        budget.interrupt()

    monkeypatch.setattr(cash_rows, "cover", interrupted)

    with pytest.raises(SolverInterruptedError):
        solve(relaxed_book(1), budget)
    assert len(asked) == 1
