"""The rules of an investment model, checked when one is made."""

import pickle
from decimal import Decimal

import pytest

from optimization.errors import (
    CertificationError,
    NoSolutionInTimeError,
    OptimizationError,
    OptionsConflictError,
    PricesMissingError,
    RuleError,
)
from optimization.model import DriftBand, Model, Target

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


@pytest.mark.parametrize("security", ["A" * 23, "A" * 25, "-" * 24, "é" * 24, "A" * 24 + "\n"])
def test_a_security_id_has_exactly_24_letters_or_digits(security: str):
    with pytest.raises(RuleError, match="exactly 24"):
        Target(security, Decimal("0.1"), BAND)


def test_a_security_id_need_not_be_hexadecimal():
    assert Target("Zz9" * 8, Decimal("0.1"), BAND).security_id == "Zz9" * 8


@pytest.mark.parametrize("weight", ["0", "0.005", "0.95", "0.10000"])
def test_a_target_is_zero_or_a_multiple_of_half_a_percent(weight: str):
    assert target(weight).weight == Decimal(weight)


@pytest.mark.parametrize("weight", ["0.003", "0.0051", "-0.005", "0.955", "NaN", "Infinity"])
def test_any_other_target_is_refused(weight: str):
    with pytest.raises(RuleError, match="a target is"):
        target(weight)


def test_targets_sum_to_95_percent_at_most():
    assert len(model(target("0.5"), target("0.45", "B")).targets) == 2
    with pytest.raises(RuleError, match=r"0\.95 at most"):
        model(target("0.5"), target("0.455", "B"))


def test_a_target_of_zero_is_dropped():
    assert model(target("0"), target("0.1", "B")).targets == (target("0.1", "B"),)


def test_a_security_stands_once_in_a_model_even_with_a_target_of_zero():
    with pytest.raises(RuleError, match="once") as caught:
        model(target("0"), target("0.1"))
    assert caught.value.field == ("targets", 1, "security_id")


def test_a_model_has_at_most_100_positions_with_a_target():
    targets = [Target(f"{i:024d}", Decimal("0.005"), BAND) for i in range(101)]
    zeros = [Target(f"Z{i:023d}", Decimal(0), BAND) for i in range(5)]
    assert len(model(*targets[:100], *zeros).targets) == 100
    with pytest.raises(RuleError, match="100"):
        model(*targets)


@pytest.mark.parametrize(("low", "high"), [("-0.01", "0.01"), ("0", "1.01"), ("NaN", "0.5")])
def test_a_drift_is_a_fraction(low: str, high: str):
    with pytest.raises(RuleError, match="fraction from 0 to 1"):
        DriftBand(Decimal(low), Decimal(high))


def test_the_low_drift_does_not_exceed_the_high_drift():
    assert DriftBand(Decimal("0.02"), Decimal("0.02")).low == Decimal("0.02")
    with pytest.raises(RuleError, match="low drift"):
        DriftBand(Decimal("0.03"), Decimal("0.02"))


def test_a_model_has_at_least_one_portfolio():
    with pytest.raises(RuleError, match="at least one portfolio"):
        model(portfolios=())


def test_a_portfolio_stands_once_in_a_model():
    with pytest.raises(RuleError, match="once"):
        model(portfolios=(PORTFOLIO, PORTFOLIO))


def test_a_portfolio_id_has_exactly_24_letters_or_digits():
    with pytest.raises(RuleError, match="exactly 24"):
        model(portfolios=("short",))


def test_a_rule_error_names_the_field_the_value_and_the_rule():
    with pytest.raises(RuleError) as caught:
        target("0.003")
    assert str(caught.value) == "weight is 0.003: a target is a multiple of 0.005"


@pytest.mark.parametrize(
    "error",
    [
        RuleError(("name",), "x", "rule"),
        PricesMissingError(("A", "B")),
        OptionsConflictError("detail", ("a", "b")),
        NoSolutionInTimeError("P", 2.5),
        CertificationError("P", ("cash",)),
    ],
)
def test_every_error_survives_pickling(error: OptimizationError):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
