"""Drift of a portfolio from its bands, by hand and against the engine."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from optimization import (
    DriftBand,
    Model,
    Portfolio,
    PortfolioOutcome,
    PricedTarget,
    RebalanceOptions,
    Scope,
    Status,
    Target,
    measure_drift,
    price_targets,
    rebalance_all,
)
from optimization.domain.portfolio import price_others
from optimization.drift import BandStatus, Edge, PortfolioDrift, Standing
from optimization.exact.block_builder import build_block
from optimization.exact.verification import violated_constraints
from tests.optimization.support.generated_problems import KINDS, Problem, plain

A, B, P = "A" * 24, "B" * 24, "P" * 24
PROBLEMS = 150
D = Decimal


def security(
    weight: str = "0.5", low: str = "0.02", high: str = "0.05", price: str = "10"
) -> PricedTarget:
    return PricedTarget(A, D(price), D(weight), DriftBand(D(low), D(high)))


def measure(
    shares: str, cash: str, of: PricedTarget | None = None, **others: str
) -> PortfolioDrift:
    model = of or security()
    held = {A: D(shares)} | {name: D(count) for name, count in others.items()}
    portfolio = Portfolio(P, D(cash), held, {A: model.price, B: D(4)})
    return measure_drift((model,), portfolio)


def only(drift: PortfolioDrift) -> Standing:
    (standing,) = drift.standings
    return standing


@pytest.mark.parametrize(
    ("shares", "edge", "outside"),
    [
        ("47.99", "BELOW", "0.10"),
        ("48", None, "0"),
        ("55", None, "0"),
        ("55.0001", "ABOVE", "0.001"),
    ],
)
def test_a_security_is_inside_up_to_the_edges_of_its_band_and_not_a_cent_further(
    shares: str, edge: str | None, outside: str
) -> None:
    cash = D(1000) - D(shares) * 10

    standing = only(measure(shares, str(cash)))

    assert (standing.lower, standing.upper, standing.target) == (D(480), D(550), D(500))
    assert (standing.edge, standing.outside) == (edge and Edge(edge), D(outside))


def test_a_summary_counts_adds_up_and_names_the_farthest() -> None:
    drift = measure("60", "200", **{B: "50"})

    summary = drift.summary
    assert (summary.status, summary.out_of_band) == (BandStatus.OUT_OF_BAND, 2)
    assert summary.market_value == D(1000)
    assert summary.drift == D("300.00")  # 600 of 500, and 200 of nothing
    assert (summary.drift_weight, summary.cash_weight) == (D("0.3000"), D("0.2000"))
    assert summary.largest is drift.standings[1]
    assert summary.largest.security.security_id == B


@pytest.mark.parametrize(("shares", "edge"), [("0.5", None), ("1", "ABOVE"), ("-1", "BELOW")])
def test_only_the_sellable_part_of_a_holding_outside_the_model_is_out_of_band(
    shares: str, edge: str | None
) -> None:
    drift = measure("50", str(D(500) - D(shares) * 4), **{B: shares})

    assert drift.standings[1].edge == (edge and Edge(edge))


def test_a_band_that_reaches_below_nothing_ends_there_for_a_short_position() -> None:
    standing = only(measure("-1", "1010", security("0.01", "0.02", "0.02")))

    assert (standing.lower, standing.edge, standing.outside) == (D(0), Edge.BELOW, D(10))


def test_a_portfolio_worth_next_to_nothing_has_weights_of_any_length() -> None:
    most = D(10) ** 15
    portfolio = Portfolio(P, D("1E-18"), {A: most, B: -most}, {A: most, B: most})
    model = Model("m", (Target(A, D("0.5"), DriftBand(D(0), D(0))),), (P,))

    long, short = measure_drift(price_targets(model, portfolio.prices), portfolio).standings

    assert (long.actual, short.actual) == (D(10) ** 48, -(D(10) ** 48))


def test_an_overdrawn_portfolio_may_be_in_band_and_an_empty_one_is() -> None:
    assert measure("100", "-100", security("0.95", "0.2", "0.2")).summary.status == "WITHIN_BANDS"
    empty = measure("0", "0").summary
    assert (empty.status, empty.drift, empty.drift_weight) == (
        "WITHIN_BANDS",
        D("0.00"),
        D("0.0000"),
    )


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_it_agrees_with_the_verification_of_the_engine(kind: Callable[..., Problem]) -> None:
    rng = np.random.default_rng(3)
    outcomes: set[str] = set()
    for problem in [kind(rng) for _ in range(PROBLEMS)]:
        portfolio = problem.portfolio
        model = price_targets(problem.model, portfolio.prices)
        others = price_others(model, portfolio)
        block = build_block(model, others, [portfolio], RebalanceOptions()).block
        short, band, _ = violated_constraints(block, block.before)[0].tolist()

        drift = measure_drift(model, portfolio)

        assert drift.summary.status == ("OUT_OF_BAND" if short or band else "WITHIN_BANDS")
        assert [standing.security for standing in drift.standings] == [*model, *others]
        check_amounts(drift, portfolio)
        outcomes.add(drift.summary.status)
    assert "OUT_OF_BAND" in outcomes


def test_an_engine_that_trades_what_has_drifted_alone_leaves_what_is_in_band_and_no_more() -> None:
    rng = np.random.default_rng(4)
    options, inside = RebalanceOptions(scope=Scope.DRIFTED_TO_TARGET), 0
    for problem in [plain(rng) for _ in range(600)]:
        model = price_targets(problem.model, problem.portfolio.prices)
        (made,) = rebalance_all(model, [problem.portfolio], options)
        untouched = isinstance(made, PortfolioOutcome) and made.status == Status.IN_BAND
        in_band = measure_drift(model, problem.portfolio).summary.status == BandStatus.WITHIN_BANDS
        assert untouched == (in_band and problem.portfolio.cash >= 0)
        inside += in_band
    assert inside > 3


def check_amounts(drift: PortfolioDrift, portfolio: Portfolio) -> None:
    """Recompute every amount in fractions."""
    value, total = Fraction(portfolio.market_value), Fraction(0)
    for standing in drift.standings:
        held = Fraction(portfolio.holdings.get(standing.security.security_id, D(0)))
        worth, weight = held * Fraction(standing.security.price), Fraction(standing.security.weight)
        low, high = Fraction(standing.security.band.low), Fraction(standing.security.band.high)
        assert Fraction(standing.value) == worth
        assert Fraction(standing.target) == value * weight
        assert Fraction(standing.lower) == max(Fraction(0), value * (weight - low))
        assert Fraction(standing.upper) == value * (weight + high)
        assert Fraction(standing.deviation) == worth - value * weight
        if value:
            assert abs(Fraction(standing.actual) - worth / value) <= Fraction(1, 20_000)
        total += abs(worth - value * weight)
    assert drift.summary.drift is not None
    assert Fraction(drift.summary.drift) == total
