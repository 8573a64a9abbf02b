"""Bands and restrictions reported as binding, in numbers worked out by hand."""

from decimal import Decimal
from typing import Any

import pytest

from optimization.domain.certificate import Method
from optimization.domain.drift_band import DriftBand
from optimization.domain.model import Model, Target
from optimization.domain.option_values import Direction, Scope
from optimization.domain.options import RebalanceOptions
from optimization.domain.outcome import PortfolioOutcome
from optimization.domain.portfolio import Portfolio
from optimization.engine import rebalance

A, B, C = (letter * 24 for letter in "ABC")
PORTFOLIO = "P" * 24
PRICES = {A: Decimal(8), B: Decimal(3), C: Decimal(1)}


def answer(
    worth: str, low: str = "0.2", held: dict[str, Decimal] | None = None, **options: Any
) -> PortfolioOutcome:
    """Rebalance to 0.5 of A at 8.00, from ``low`` below to 0.2 above, and 0.3 of B at 3.00."""
    wide = DriftBand(Decimal("0.1"), Decimal("0.1"))
    targets = (
        Target(A, Decimal("0.5"), DriftBand(Decimal(low), Decimal("0.2"))),
        Target(B, Decimal("0.3"), wide),
    )
    shares = held or {}
    invested = sum((PRICES[s] * u for s, u in shares.items()), Decimal(0))
    portfolio = Portfolio(PORTFOLIO, Decimal(worth) - invested, shares, PRICES)
    model = Model("Model", targets, (PORTFOLIO,))
    return rebalance(model, portfolio, RebalanceOptions(**options))


def bound_by(given: PortfolioOutcome) -> dict[str, str]:
    assert given.certificate is not None
    return {binding.constraint: f"{binding.slack}" for binding in given.certificate.binding}


def test_securities_at_their_nearest_lots_are_bound_by_nothing():
    assert bound_by(answer("101")) == {}


def test_a_band_binds_where_its_edge_is_between_the_plan_and_the_nearest_lots():
    # 50.50 of 101.00: six lots of 8.00 are nearer, but below the band; seven are 5.50 inside it.
    found = answer("101", low="0")

    assert found.after == (7, 10)
    assert bound_by(found) == {f"band.{A}": "5.50"}


def test_the_slack_to_an_edge_keeps_its_parts_of_units():
    assert bound_by(answer("101.01", low="0")) == {f"band.{A}": "5.495"}


def test_a_remainder_below_a_lot_counts_towards_the_edge():
    # A tenth of a share of 8.00 cannot be traded: with seven shares more it is worth 56.80.
    found = answer("101", low="0", held={A: Decimal("0.1")})

    assert found.after == (Decimal("7.1"), 10)
    assert bound_by(found) == {f"band.{A}": "6.30"}


@pytest.mark.parametrize(
    ("held", "options", "named"),
    [
        ({A: 6, B: 9}, {"frozen": frozenset({B})}, {"frozen": "0.00"}),
        ({A: 5, B: 9}, {"frozen": frozenset({A, B})}, {"frozen": "0.00"}),
        ({A: 5, B: 9}, {"frozen": frozenset({A}), "do_not_buy": frozenset({B})},
         {"do_not_buy": "0.00", "frozen": "0.00"}),
        ({A: 7, B: 11}, {"direction": Direction.BUY_ONLY}, {"direction": "0.00"}),
        ({A: 5, B: 12}, {"direction": Direction.BUY_ONLY}, {"direction": "0.00"}),
        ({A: 5, B: 9}, {"direction": Direction.BUY_ONLY}, {}),
        ({A: 5, B: 9}, {"scope": Scope.DRIFTED_TO_TARGET}, {"scope": "0.00"}),
        ({A: 6, B: 10, C: 2}, {"do_not_sell": frozenset({C})}, {"do_not_sell": "0.00"}),
        ({A: 6, B: 10, C: 2}, {"do_not_sell": frozenset({A})}, {}),
    ],
)  # fmt: skip
def test_a_restriction_that_keeps_securities_from_their_nearest_lots_is_named_once(
    held: dict[str, int], options: dict[str, Any], named: dict[str, str]
):
    found = answer("101", held={s: Decimal(u) for s, u in held.items()}, **options)

    assert bound_by(found) == named


def test_the_band_is_named_if_a_restriction_binds_at_the_same_place():
    # Seven lots are all that the band has below eight, and all that may be.
    found = answer("101", low="0", held={A: Decimal(7)}, do_not_sell=frozenset({A}))

    assert bound_by(found) == {f"band.{A}": "5.50"}


def test_limits_come_first_and_bands_with_them():
    found = answer("101", low="0", cash_floor=Decimal(16))

    # 14.00 are left by the nearest lots: one lot of B less.
    assert found.after == (7, 9)
    assert found.certificate is not None
    assert found.certificate.method is Method.COVER
    assert bound_by(found) == {"cash_floor": "2.00", f"band.{A}": "5.50"}
    assert list(bound_by(found)) == ["cash_floor", f"band.{A}"]


def test_soft_bands_bind_nothing_but_restrictions_still_do():
    soft = {"soft_band_price": Decimal("0.1")}

    assert bound_by(answer("101", low="0", **soft)) == {}
    found = answer("101", held={A: Decimal(5)}, do_not_buy=frozenset({A}), **soft)
    assert bound_by(found) == {"do_not_buy": "0.00"}


def test_a_fraction_of_a_holding_outside_the_model_that_cannot_be_sold_binds_nothing():
    found = answer("101", held={A: Decimal(6), B: Decimal(10), C: Decimal("0.6")})

    assert found.after == (6, 10, Decimal("0.6"))
    assert bound_by(found) == {}
