"""Arguments of a wrong type: the error names the argument, its value and the rule."""

from collections.abc import Callable
from typing import Any

import pytest

from optimization import (
    DriftBand,
    GroupBand,
    Model,
    Portfolio,
    RebalanceOptions,
    RuleError,
    Target,
    measure_drift,
    price_targets,
    rebalance,
    rebalance_all,
    rebalance_at_once,
)

BAND = DriftBand(0.1, 0.1)
MODEL = Model({"VTI": 0.6}, band=0.05)
HELD = Portfolio("ira", 100, {"VTI": 1}, {"VTI": 10})
SECURITIES = price_targets(MODEL, HELD.prices)
WRONG: tuple[Any, ...] = (3, "x", [], None, object(), 1.5)
# Calls with one argument that is no value of its type, and the name that the error gives it.
CALLS: dict[str, tuple[Callable[[Any], object], str]] = {
    "a model of weights": (lambda value: Model(value, band=0.05), "weights"),
    "a portfolio's holdings": (lambda value: Portfolio("ira", 1, value, {}), "holdings"),
    "a portfolio's prices": (lambda value: Portfolio("ira", 1, {"VTI": 1}, value), "prices"),
    "the band of a target": (lambda value: Target("VTI", 0.5, value), "band"),
    "a model to price": (lambda value: price_targets(value, {"VTI": 1}), "model"),
    "prices of a model": (lambda value: price_targets(MODEL, value), "prices"),
    "a model to rebalance to": (lambda value: rebalance(value, HELD), "model"),
    "a portfolio to rebalance": (lambda value: rebalance(MODEL, value), "portfolio"),
    "options": (lambda value: rebalance(MODEL, HELD, value), "options"),
    "a portfolio to measure": (lambda value: measure_drift(SECURITIES, value), "portfolio"),
}


@pytest.mark.parametrize("value", WRONG, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("name", CALLS)
def test_an_argument_of_a_wrong_type_is_named(name: str, value: Any) -> None:
    call, argument = CALLS[name]

    with pytest.raises(RuleError) as refused:
        call(value)

    assert refused.value.field == (argument,)
    assert refused.value.value is value
    assert "such as" in refused.value.rule


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: Model("Growth", "VTI", ("P1",)), ("targets",)),  # type: ignore[arg-type]
        (lambda: Model("Growth", [0.6], ("P1",)), ("targets", 0)),  # type: ignore[list-item]
        (lambda: Model("Growth", [], "P1"), ("portfolio_ids",)),
        (lambda: Model(7, [], ("P1",)), ("weights",)),  # type: ignore[arg-type]
        (lambda: Model({"VTI": 0.6}, 0.05), ("band",)),  # type: ignore[call-overload]
        (lambda: Model({7: 0.6}, band=0.05), ("security_id",)),  # type: ignore[dict-item]
        (lambda: rebalance_all(SECURITIES, HELD), ("portfolios",)),  # type: ignore[arg-type]
        (
            lambda: rebalance_all(SECURITIES, [HELD, "ira"]),  # type: ignore[list-item]
            ("portfolios", 1),
        ),
        (lambda: rebalance_at_once(MODEL, [HELD]), ("securities",)),  # type: ignore[arg-type]
        (lambda: RebalanceOptions(lots=[5]), ("lots",)),  # type: ignore[arg-type]
        (lambda: RebalanceOptions(groups={"g": 1}), ("groups",)),  # type: ignore[arg-type]
        (lambda: RebalanceOptions(frozen=None), ("frozen",)),  # type: ignore[arg-type]
        (
            lambda: RebalanceOptions(maximum_trades="3"),  # type: ignore[arg-type]
            ("maximum_trades",),
        ),
        (lambda: RebalanceOptions(time_limit_s="3"), ("time_limit_s",)),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_item_is_named_with_its_place(
    call: Callable[[], object], field: tuple[str | int, ...]
) -> None:
    with pytest.raises(RuleError) as refused:
        call()

    assert refused.value.field == field


def test_a_text_is_one_id_of_a_group_and_not_its_letters() -> None:
    assert GroupBand("energy", "XLE").security_ids == {"XLE"}
