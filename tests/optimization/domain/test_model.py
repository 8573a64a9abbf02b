"""The rules of an investment model, checked when one is made."""

import pickle
from dataclasses import replace
from decimal import Decimal

import pytest

from optimization.domain.drift_band import DriftBand
from optimization.domain.model import Model, Target
from optimization.errors import (
    CertificationError,
    EmptyModelError,
    NoSolutionInTimeError,
    OptimizationError,
    OptionsConflictError,
    PricesMissingError,
    RuleError,
    UnmatchedIdsError,
)

BAND = DriftBand(Decimal("0.01"), Decimal("0.02"))
PORTFOLIO = "P" * 24


def target(weight: str, name: str = "A") -> Target:
    return Target(name * 24, Decimal(weight), BAND)


def model(
    *targets: Target, name: str = "Growth", portfolios: tuple[str, ...] = (PORTFOLIO,)
) -> Model:
    return Model(name, targets, portfolios)


def test_a_name_is_trimmed():
    assert model(name="  Growth\n").name == "Growth"


@pytest.mark.parametrize("name", ["", "   ", "x" * 256])
def test_a_name_has_1_to_255_characters(name: str):
    with pytest.raises(RuleError, match="1 to 255"):
        model(name=name)


def test_a_name_of_255_characters_is_taken():
    assert len(model(name="x" * 255).name) == 255


def test_a_target_of_zero_is_dropped():
    assert model(target("0"), target("0.1", "B")).targets == (target("0.1", "B"),)


def test_a_security_stands_once_in_a_model_even_with_a_target_of_zero():
    with pytest.raises(RuleError, match="once") as caught:
        model(target("0"), target("0.1"))
    assert caught.value.field == ("targets", 1, "security_id")


@pytest.mark.parametrize(("low", "high"), [("-0.01", "0.01"), ("0", "1.01"), ("NaN", "0.5")])
def test_a_drift_is_a_fraction(low: str, high: str):
    with pytest.raises(RuleError, match="fraction from 0 to 1"):
        DriftBand(Decimal(low), Decimal(high))


def test_a_model_has_at_least_one_portfolio():
    with pytest.raises(RuleError, match="at least one portfolio"):
        model(portfolios=())


def test_a_portfolio_stands_once_in_a_model():
    with pytest.raises(RuleError, match="once"):
        model(portfolios=(PORTFOLIO, PORTFOLIO))


def test_a_rule_error_names_the_field_the_value_and_the_rule():
    with pytest.raises(RuleError) as caught:
        target("1.5")
    assert str(caught.value) == "weight is 1.5: a target is from 0 to 1"


@pytest.mark.parametrize(
    "error",
    [
        RuleError(("name",), "x", "rule"),
        PricesMissingError(("A", "B")),
        EmptyModelError(),
        UnmatchedIdsError(((("lots", "VIT"), "VIT"), (("groups", 0, "security_ids"), "VOT"))),
        OptionsConflictError("detail", ("a", "b")),
        NoSolutionInTimeError("P", 2.5),
        CertificationError("P", ("cash",)),
    ],
)
def test_every_error_survives_pickling(error: OptimizationError):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)


def test_a_copy_shares_the_targets_so_that_they_can_be_recognized() -> None:
    model = Model({"VTI": 0.6, "BND": 0.4}, band=0.05)

    assert replace(model, portfolio_ids=("P2",)).targets is model.targets
