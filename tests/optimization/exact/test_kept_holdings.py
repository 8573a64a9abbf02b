"""Holdings that may not or cannot be traded whole: dust, frozen shorts, odd remainders."""

from decimal import Decimal
from typing import Any

import pytest

from optimization.domain.certificate import Method
from optimization.domain.option_values import BandRule
from optimization.domain.outcome import Edge, OutsideBand, Status
from tests.optimization.support.plans import A, X, asked, changes, outside, proven


def test_dust_is_kept_and_reported_also_where_bands_hold():
    prices = {A: "100", X: "1.50"}
    for bands in (None, *BandRule):
        found = asked(
            {A: ("0.9", "0.05")},
            "1997",
            {A: "80", X: "2"},
            prices,
            minimum_value=Decimal(10),
            bands=bands,
        )
        assert changes(found) == {A: 10}
        assert outside(found) == {X: ("3.00", ("minimum_value",))}


def test_dust_alone_is_no_trade():
    found = asked({}, "100", {X: "2"}, {X: "1.50"}, minimum_shares=Decimal(3))

    assert found.status is Status.NO_TRADE
    assert outside(found) == {X: ("3.00", ("minimum_shares",))}


@pytest.mark.parametrize("options", [{"frozen": frozenset({X})}, {"do_not_buy": frozenset({X})}])
def test_a_short_position_that_may_not_be_bought_back_is_kept(options: dict[str, Any]):
    (name,) = options
    for bands in (None, *BandRule):
        found = asked(
            {A: ("0.5", "0.1")},
            "1000",
            {A: "30", X: "-10"},
            {A: "20", X: "30"},
            bands=bands,
            **options,
        )
        assert X not in changes(found)
        assert found.outside_band == (OutsideBand(X, Edge.BELOW, Decimal("300.00"), (name,)),)


def test_a_short_position_of_the_model_that_is_frozen_is_kept():
    found = asked(
        {A: ("0.5", "0.1")},
        "1000",
        {A: "-2"},
        {A: "20"},
        frozen=frozenset({A}),
        bands=BandRule.HARD,
    )

    assert found.status is Status.NO_TRADE
    assert outside(found) == {A: ("424.00", ("frozen",))}


@pytest.mark.parametrize(
    ("held", "sold"),
    [("1350", -1350), ("50", -50), ("1350.5", -1350), ("1300", -1300), ("-250", 250)],
)
def test_an_odd_remainder_outside_the_model_is_sold_with_the_round_lots(held: str, sold: int):
    found = asked({}, "60000", {X: held}, {X: "10"}, lots={X: Decimal(100)}, bands=BandRule.HARD)

    assert changes(found) == {X: sold}
    assert found.outside_band == ()


def test_a_holding_that_cannot_be_sold_whole_is_sold_in_round_lots():
    found = asked(
        {}, "0", {X: "1350"}, {X: "10"}, lots={X: Decimal(100)}, turnover_cap=Decimal(13_400)
    )

    assert changes(found) == {X: -1300}
    assert outside(found) == {X: ("500.00", ("lots", "turnover_cap"))}
    assert proven(found).method is Method.MILP


def test_round_lots_and_their_remainder_are_one_trade():
    found = asked(
        {A: ("0.5", "0.3")},
        "0",
        {X: "1350"},
        {A: "10", X: "10"},
        lots={X: Decimal(100)},
        maximum_trades=2,
    )

    assert changes(found) == {A: 675, X: -1350}


def test_an_odd_remainder_below_the_least_trade_goes_with_its_round_lots():
    # One lot is worth 100, less than the least trade of 120; with the half lot it is enough.
    found = asked({}, "0", {X: "15"}, {X: "10"}, lots={X: Decimal(10)}, minimum_value=Decimal(120))

    assert changes(found) == {X: -15}
