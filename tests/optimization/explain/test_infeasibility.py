"""Contents of a refusal, in numbers worked out by hand."""

from decimal import Decimal
from typing import Any

import pytest

from optimization.domain.drift_band import DriftBand
from optimization.domain.model import Model, Target
from optimization.domain.options import RebalanceOptions
from optimization.domain.outcome import Refusal
from optimization.domain.portfolio import Portfolio
from optimization.engine import rebalance
from optimization.milp import formulations
from optimization.milp.parametric import SolverAnswer

PORTFOLIO = "P" * 24


def refusal(
    cash: str,
    drift: str,
    *weights: str,
    high: str | None = None,
    price: str = "10",
    held: str = "0",
    **options: Any,
) -> Refusal:
    """Refusal of a portfolio with one price and one band; it holds ``held`` of the first."""
    ids = [f"{i:024d}" for i in range(len(weights))]
    band = DriftBand(Decimal(drift), Decimal(high or drift))
    targets = (Target(name, Decimal(w), band) for name, w in zip(ids, weights, strict=True))
    portfolio = Portfolio(
        PORTFOLIO, Decimal(cash), {ids[0]: Decimal(held)}, {name: Decimal(price) for name in ids}
    )
    model = Model("Model", tuple(targets), (PORTFOLIO,))
    found = rebalance(model, portfolio, RebalanceOptions(**options)).refusal
    assert found is not None
    return found


def test_three_securities_are_named_and_the_others_counted():
    three = refusal("10", "0.01", "0.1", "0.2", "0.3")
    five = refusal("10", "0.01", "0.1", "0.2", "0.3", "0.1", "0.2")

    names = ", ".join(f"{i:024d}" for i in range(3))
    no_lot = "no whole lot inside the drift band"
    advice = "There is a plan with bands YIELD or with a soft_band_price."
    assert three.detail == f"No feasible solution exists: {names} have {no_lot}. {advice}"
    assert five.detail == f"No feasible solution exists: {names} and 2 more have {no_lot}. {advice}"
    assert len(five.members["securities"]) == 5
    single = refusal("10", "0.01", "0.1")
    assert single.detail == f"No feasible solution exists: {0:024d} has {no_lot}. {advice}"
    assert single.members["admits"] == [
        {"option": "bands", "value": "YIELD"},
        {"option": "soft_band_price"},
    ]


def test_an_account_worth_nothing_is_short_of_its_floor_and_not_negative():
    found = refusal("0", "0.1", "0.5", cash_floor=Decimal(10))

    assert found.members["limits"] == [{"option": "cash_floor", "short_by": "10.00"}]
    assert "cash_floor by 10.00" in found.detail
    negative = refusal("-0.01", "0.1", "0.5")
    assert "the market value is negative (-0.01)" in negative.detail
    assert negative.members["limits"] == []


def test_a_single_cent_has_a_smallest_band_and_nothing_has_none():
    [cent] = refusal("0.01", "0.1", "0.5").members["securities"]

    assert cent["smallest_band"] == {"low_drift": "0.5", "high_drift": "0.5", "lots": "0"}
    for entry in refusal("-1", "0.1", "0.5").members["securities"]:
        assert "smallest_band" not in entry


def test_the_nearest_plan_may_hold_only_what_cannot_be_traded():
    found = refusal("0", "0.1", "0.5", held="0.5")  # 5.00 in less than a share; 2.00 to 3.00 asked

    plan = found.members["nearest_plan"]
    assert plan["transactions"] == []
    assert plan["cash_after_rebalance"] == "0.00"
    assert plan["outside_band"][0]["actual"] == "1.0000"


def test_quantities_are_written_without_exponent():
    found = refusal("0", "0.1", "0.5", held="0.0000001", price="100000000")

    assert found.members["nearest_plan"]["outside_band"][0]["quantity"] == "0.0000001"


def test_the_band_of_fewer_lots_is_named_if_two_are_wider_by_the_same():
    # Six lots are 0.48, seven 0.56: the one is 0.01 below the band, the other 0.01 above it.
    [entry] = refusal("100", "0.01", "0.5", high="0.05", price="8").members["securities"]

    assert entry["smallest_band"] == {"low_drift": "0.02", "high_drift": "0.05", "lots": "6"}


def test_without_an_explanation_in_time_a_refusal_says_what_is_known(
    monkeypatch: pytest.MonkeyPatch,
):
    nothing = SolverAnswer(None, 0.0, proven=False, infeasible=False, seconds=2.0)
    monkeypatch.setattr(formulations, "solve_coupled", lambda *_: (nothing, None))

    found = refusal("100", "0.1", "0.5", cash_floor=Decimal(95))

    expected = "no plan keeps every limit without overdrawing the account"
    assert found.detail == f"No feasible solution exists: {expected}."
    assert found.members == {
        "securities": [],
        "limits": [],
        "admits": [],
        "nearest_plan": None,
    }
