"""Numbers of every type that people have, where the library accepts numbers."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pickle import dumps, loads
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimization import (
    Direction,
    DriftBand,
    GroupBand,
    Model,
    OptionsConflictError,
    Percent,
    Portfolio,
    PricesMissingError,
    RebalanceOptions,
    RuleError,
    ScaledColumn,
    Target,
    price_targets,
    rebalance,
)
from optimization.domain.numbers import read_decimal

BAND = DriftBand(0.05, 0.05)


@pytest.mark.parametrize(
    ("given_number", "exact"),
    [
        (3, "3"),
        (0.1, "0.1"),
        (1e-7, "1E-7"),
        (1e22, "1E+22"),
        (np.float32(0.1), "0.1"),
        (np.float16(0.1), "0.1"),
        (np.float64(245.5), "245.5"),
        (np.int64(-7), "-7"),
        (np.uint8(7), "7"),
        (Fraction(1, 8), "0.125"),
        (Fraction(-7, 20), "-0.35"),
        (" 12.50 ", "12.50"),
        ("1e3", "1E+3"),
    ],
)
def test_a_number_is_read_by_its_shortest_digits(given_number: Any, exact: str) -> None:
    assert read_decimal(given_number, ("cash",)) == Decimal(exact)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_read_back_as_itself(number: float) -> None:
    assert float(read_decimal(number, ("cash",))) == number


@given(st.integers(-(10**9), 10**9), st.integers(0, 12), st.integers(0, 12))
def test_a_fraction_whose_decimals_end_is_read_exactly(
    numerator: int, twos: int, fives: int
) -> None:
    fraction = Fraction(numerator, 2**twos * 5**fives)

    assert Fraction(read_decimal(fraction, ("cash",))) == fraction


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        (float("nan"), "finite"),
        (float("-inf"), "finite"),
        (np.float32("inf"), "finite"),
        (True, "a number is"),
        (None, "a number is"),
        ("", "a number is"),
        ("1,5", "a number is"),
        ("nan", "a number is"),
        ("١٢", "a number is"),
        (1j, "a number is"),
        (Fraction(1, 3), "decimals that end"),
    ],
)
def test_a_value_that_is_no_number_is_refused_with_its_place(wrong: Any, rule: str) -> None:
    prices: Any = {"VTI": wrong, "BND": 1}
    with pytest.raises(RuleError, match=rule) as refused:
        Portfolio("ira", 1, {"VTI": 1, "BND": 1}, prices)

    assert refused.value.field[-1] == "VTI"


def test_a_portfolio_accepts_numbers_of_any_type_and_keeps_decimals() -> None:
    held = {"VTI": np.int64(10), "BND": 0.5, "GLD": 0}
    portfolio = Portfolio("ira", 100, held, {"VTI": 245.5, "BND": "72.10", "GLD": 1})

    assert portfolio == Portfolio(
        "ira",
        Decimal(100),
        {"VTI": Decimal(10), "BND": Decimal("0.5")},
        {"VTI": Decimal("245.5"), "BND": Decimal("72.1"), "GLD": Decimal(1)},
    )
    assert portfolio.market_value == Decimal("2591.05")


def test_a_portfolio_of_decimals_keeps_the_mapping_of_its_prices() -> None:
    prices = {"VTI": Decimal("245.5")}

    assert Portfolio("ira", 1, {"VTI": 2}, prices).prices is prices


@pytest.mark.parametrize("price", [0, -1.5, Decimal("NaN")])
def test_a_price_of_nothing_is_missing_whatever_its_type(price: Any) -> None:
    with pytest.raises(PricesMissingError, match="VTI"):
        Portfolio("ira", 1, {"VTI": 2}, {"VTI": price})
    with pytest.raises(PricesMissingError, match="VTI"):
        price_targets(Model({"VTI": 1}, band=0), {"VTI": price})


def test_a_model_of_weights_is_the_model_of_its_targets() -> None:
    targets = (Target("VTI", 0.6, BAND), Target("BND", "0.4", BAND))

    assert Model({"VTI": 0.6, "BND": 0.4}, band=0.05, name="Mix", portfolio_ids=["ira"]) == Model(
        "Mix", targets, ("ira",)
    )


@pytest.mark.parametrize("third", ["1/3", Fraction(1, 3)])
def test_thirds_sum_to_one(third: Any) -> None:
    model = Model(dict.fromkeys("ABC", third), band=0.01)
    held = Portfolio("ira", 300, {}, dict.fromkeys("ABC", 1))

    trades = rebalance(model, held).transactions
    assert [trade.quantity for trade in trades] == [100, 100, 100]


@pytest.mark.parametrize(
    ("band", "low", "high"),
    [
        (0.05, "0.05", "0.05"),
        ((0.05, 0.01), "0.05", "0.01"),
        (BAND, "0.05", "0.05"),
        ({"VTI": "2%"}, "0.02", "0.02"),
        ({"VTI": (0, 1)}, "0", "1"),
    ],
)
def test_a_band_is_a_number_two_numbers_or_one_of_them_by_security(
    band: Any, low: str, high: str
) -> None:
    (target,) = Model({"VTI": "60%"}, band=band).targets

    assert target == Target("VTI", Decimal("0.6"), DriftBand(Decimal(low), Decimal(high)))


def test_a_relative_drift_makes_bands_of_their_targets() -> None:
    model = Model({"VTI": 0.8, "BND": 0.1}, relative_drift=0.25, absolute_drift=0.05)

    assert [target.band.low for target in model.targets] == [Decimal("0.05"), Decimal("0.025")]


@pytest.mark.parametrize(
    ("weights", "bands", "message"),
    [
        ({"VTI": 0.6}, {}, "give one of the two: band=0.05"),
        ({"VTI": 0.6}, {"band": 0.1, "relative_drift": 0.2}, "give one of the two"),
        ({"VTI": 0.6}, {"band": 0.1, "absolute_drift": 0.2}, "give relative_drift too"),
        ({"VTI": 0.6, "BND": 0.3}, {"band": {"VTI": 0.1}}, "band.BND is None: every security"),
        ({"VTI": 0.6}, {"band": 5}, "band.low is 5: a drift is a fraction from 0 to 1"),
        ({"VTI": 60}, {"band": 0.1}, "a target is from 0 to 1"),
        ({"VTI": 0.6, "BND": 0.5}, {"band": 0.1}, "sum to 1 at most"),
        ({"VTI": float("nan")}, {"band": 0.1}, "targets.VTI is nan: a number is finite"),
        ({"VTI": 1 / 3}, {"band": 0.1}, "targets.VTI is 0.3333333333333333: .* round it"),
        ({"VTI": "1/x"}, {"band": 0.1}, "a fraction is written as two whole numbers"),
    ],
)
def test_a_model_that_cannot_be_is_refused_with_what_to_do(
    weights: Any, bands: Any, message: str
) -> None:
    with pytest.raises(RuleError, match=message):
        Model(weights, **bands)


def test_a_model_is_copied_and_pickled_as_before() -> None:
    model = Model({"VTI": 0.6}, band=0.05)

    assert loads(dumps(model)) == model
    assert replace(model, version=2).targets is not None
    assert replace(model, name="Other").name == "Other"


def test_options_accept_what_people_write() -> None:
    options = RebalanceOptions(
        cash_floor="2%",
        cash_flow=-500,
        direction="BUY_ONLY",
        do_not_buy=["GME", "AMC"],
        do_not_sell="VTI",
        lots={"BTC": 0.001},
        minimum_value=np.float64(250),
        cost_rate=0.001,
        groups=[GroupBand("energy", ["XLE"], high=0.2)],
    )

    assert options == RebalanceOptions(
        cash_floor=Percent(Decimal(2)),
        cash_flow=Decimal(-500),
        direction=Direction.BUY_ONLY,
        do_not_buy=frozenset({"GME", "AMC"}),
        do_not_sell=frozenset({"VTI"}),
        lots={"BTC": Decimal("0.001")},
        minimum_value=Decimal(250),
        cost_rate=Decimal("0.001"),
        groups=(GroupBand("energy", frozenset({"XLE"}), Decimal(0), Decimal("0.2")),),
    )
    assert options.direction is Direction.BUY_ONLY


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cash_floor": 0.02}, r"write '2%' for 2 percent .* or Decimal\('0.02'\)"),
        ({"turnover_cap": "0.5"}, "write '50%'"),
        ({"direction": "BUY"}, "direction is 'BUY': one of FULL, BUY_ONLY, SELL_ONLY"),
        ({"lots": {"BTC": "a few"}}, "lots.BTC is 'a few': a number is"),
        ({"cost_rate": float("inf")}, "cost_rate is inf"),
        ({"frozen": 5}, "frozen is 5: ids are a list or a set of texts"),
    ],
)
def test_an_option_that_is_unclear_is_refused_with_what_to_write(
    options: Any, message: str
) -> None:
    with pytest.raises(RuleError, match=message):
        RebalanceOptions(**options)


def test_a_group_whose_bounds_cross_is_a_conflict() -> None:
    with pytest.raises(OptionsConflictError, match=r"low bound 0.5 above the high 0.2"):
        GroupBand("energy", ["XLE"], 0.5, 0.2)


def test_a_column_accepts_numbers_of_any_type() -> None:
    column = ScaledColumn.from_numbers([1, 0.25, np.float32(0.5), "3"])

    assert (column.units.tolist(), column.decimals) == ([100, 25, 50, 300], 2)
