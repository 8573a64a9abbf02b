"""Fine lots: more lots than an integer program can count, such as a billionth of a share."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from optimization.domain.certificate import Method, Proof
from optimization.domain.drift_band import DriftBand
from optimization.domain.model import Model, Target
from optimization.domain.numbers import Percent
from optimization.domain.option_values import BandRule, Direction, GroupBand
from optimization.domain.options import RebalanceOptions
from optimization.domain.outcome import PortfolioOutcome, Status
from optimization.domain.portfolio import Portfolio
from optimization.engine import rebalance
from optimization.milp.parametric import ParametricMilp
from tests.optimization.support.random_problems import security_id

IDS = [security_id(i) for i in range(5)]
OPTIONS: dict[str, dict[str, Any]] = {
    "cost_rate": {"cost_rate": Decimal("0.002")},
    "cost_per_trade": {"cost_per_trade": Decimal("3.50")},
    "costs_in_objective": {"cost_rate": Decimal("0.002"), "costs_in_objective": True},
    "cash_ceiling": {"cash_ceiling": Percent(Decimal(6))},
    "minimum_value": {"minimum_value": Decimal(700)},
    "minimum_shares": {"minimum_shares": Decimal("2.5")},
    "maximum_trades": {"maximum_trades": 3},
    "turnover_cap": {"turnover_cap": Percent(Decimal(11))},
    "groups": {"groups": (GroupBand("two", frozenset(IDS[:2]), high=Decimal("0.39")),)},
    "soft_band_price": {"soft_band_price": Decimal(2), "turnover_cap": Percent(Decimal(5))},
    "fewest_trades": {"fewest_trades": True, "minimum_value": Decimal(700)},
    "bands": {"bands": BandRule.YIELD, "maximum_trades": 1},
    "direction": {"direction": Direction.BUY_ONLY, "cost_rate": Decimal("0.002")},
    "cash_floor": {"cash_floor": Percent(Decimal(9)), "cost_rate": Decimal("0.001")},
}
RENEWING = {"turnover_cap", "maximum_trades"}
COUNTED = 2**21


def problem(number: int) -> tuple[Model, Portfolio]:
    """Five securities within 3 % of their targets, in tenths of a share."""
    rng = np.random.default_rng([13, number])
    prices = {name: Decimal(int(rng.integers(2_000, 40_000))).scaleb(-2) for name in IDS}
    weights = [Decimal(percent).scaleb(-2) for percent in (20, 20, 20, 15, 15)]
    band = DriftBand(Decimal("0.05"), Decimal("0.05"))
    targets = [Target(name, weight, band) for name, weight in zip(IDS, weights, strict=True)]
    held: dict[str, Decimal] = {}
    for name, weight in zip(IDS, weights, strict=True):
        worth = float(weight) * 200_000 * rng.uniform(0.8, 1.2)
        held[name] = Decimal(round(10 * worth / float(prices[name]))).scaleb(-1)
    model = Model("Fine", tuple(targets), ("P" * 24,))
    return model, Portfolio("P" * 24, Decimal(20_000), held, prices)


def answer(number: int, lot: str, **options: Any) -> PortfolioOutcome:
    model, portfolio = problem(number)
    lots = dict.fromkeys(IDS, Decimal(lot))
    return rebalance(model, portfolio, RebalanceOptions(**options, lots=lots))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The greatest number of lots, or steps, that each program was asked about."""
    greatest: list[float] = []
    solve = ParametricMilp.solve

    def watched(self: ParametricMilp, parameters: Any, *given: Any) -> Any:
        lots = (
            "approach",
            "least_trade",
            "max_undone",
            "max_retreat",
            "max_overshoot",
            "max_down",
            "max_up",
        )
        greatest.append(
            max(
                np.abs(parameters[parameter]).max() for parameter in lots if parameter in parameters
            )
        )
        return solve(self, parameters, *given)

    monkeypatch.setattr(ParametricMilp, "solve", watched)
    return greatest


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("lot", ["1E-7", "1E-9", "1E-15"])
def test_however_fine_lots_are_a_program_is_asked_about_no_more_than_it_can_count(
    option: str, lot: str, counted: list[float]
):
    found = answer(1, lot, **OPTIONS[option])

    assert found.certificate is not None
    assert max(counted, default=0) < COUNTED


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("number", range(3))
def test_finer_lots_give_a_plan_that_is_no_worse_than_that_of_coarse_ones(option: str, number: int):
    coarse, fine = (answer(number, lot, **OPTIONS[option]) for lot in ("0.1", "1E-9"))

    assert coarse.certificate is not None
    assert fine.certificate is not None
    assert fine.certificate.violation <= coarse.certificate.violation + Decimal("0.01")
    if coarse.certificate.violation == fine.certificate.violation == 0:
        better = fine.certificate.objective - coarse.certificate.objective
        # Of costs: at the base that each plan leaves, which is another one.
        assert better <= Decimal("0.02") + abs(fine.cost - coarse.cost)
    assert fine.certificate.lower_bound <= fine.certificate.objective


@pytest.mark.parametrize("option", OPTIONS)
def test_a_plan_in_fine_lots_says_how_far_from_the_optimum_it_may_be(option: str):
    certificate = answer(2, "1E-9", **OPTIONS[option]).certificate

    assert certificate is not None
    if certificate.proof is Proof.OPTIMAL:
        assert certificate.gap == 0
    elif certificate.proof is Proof.OPTIMAL_WITHIN_GAP:
        assert certificate.gap < Decimal("0.02")


@pytest.mark.parametrize(
    "option", [option for option in OPTIONS if not RENEWING & OPTIONS[option].keys()]
)
def test_an_executed_plan_in_fine_lots_is_left_alone(option: str):
    given = OPTIONS[option]
    model, portfolio = problem(2)
    options = RebalanceOptions(**given, lots=dict.fromkeys(IDS, Decimal("1E-9")))
    done = rebalance(model, portfolio, options)
    after = dict(zip(IDS, map(Decimal, done.after), strict=True))

    again = rebalance(model, replace(portfolio, cash=done.cash_after, holdings=after), options)

    assert again.transactions == ()


def test_cash_alone_in_lots_too_fine_for_the_cover_is_a_program_that_counts_steps(
    counted: list[float],
):
    found = answer(4, "1E-9", cash_floor=Percent(Decimal("11.3")))

    assert found.certificate is not None
    assert found.certificate.method is Method.MILP
    assert found.certificate.gap < Decimal("0.02")
    assert found.cash_after >= found.market_value * Decimal("0.113")
    assert counted
    assert max(counted) < COUNTED


def test_a_trade_in_fine_lots_has_its_least_value_or_does_not_happen():
    found = answer(3, "1E-9", minimum_value=Decimal(3000))

    prices = problem(3)[1].prices
    assert found.status is Status.REBALANCED
    assert all(t.quantity * prices[t.security_id] >= 3000 for t in found.transactions)


@pytest.mark.parametrize("options", [{"turnover_cap": Percent(Decimal(10))}, {"maximum_trades": 4}])
@pytest.mark.parametrize("seed", range(3))
def test_an_account_of_ten_billion_has_a_plan(seed: int, options: dict[str, Any]) -> None:
    rng = np.random.default_rng([17, seed])
    ids = [security_id(i) for i in range(12)]
    prices = {name: Decimal(int(rng.integers(500, 50_000))).scaleb(-2) for name in ids}
    worth = rng.random(12)
    shares = worth / worth.sum() * 1e10
    held = {name: int(value / float(prices[name])) for name, value in zip(ids, shares, strict=True)}
    band = DriftBand(Decimal("0.05"), Decimal("0.05"))
    targets = tuple(Target(name, Decimal("0.08"), band) for name in ids)
    model = Model("Large", targets, ("P" * 24,))
    portfolio = Portfolio("P" * 24, Decimal(300_000_000), held, prices)
    assert rebalance(model, portfolio, RebalanceOptions(**options)).status is Status.REBALANCED
