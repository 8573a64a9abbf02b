"""Rules of models: the general ones of the engine, and the stricter GlobeCo contract."""

import pickle
from copy import copy, deepcopy
from decimal import Decimal
from fractions import Fraction

import pytest

from optimization.domain.drift_band import DriftBand, relative_band
from optimization.domain.model import Model, Target
from optimization.domain.numbers import Weight, WrittenFraction
from optimization.domain.option_values import GroupBand
from optimization.domain.options import RebalanceOptions
from optimization.domain.rules import GENERAL, GLOBECO
from optimization.errors import RuleError

BAND = DriftBand(Decimal("0.01"), Decimal("0.02"))
PORTFOLIO = "P" * 24
THIRD = WrittenFraction.parse("1/3")
READABLE = ["VTI", "BRK.B", "IE00B4L5Y983", "U 123-45/6", "€STR", "株", "x" * 64, "Müller & Co"]
UNREADABLE = {
    "nothing": "",
    "65 characters": "x" * 65,
    "a blank before": " VTI",
    "a blank behind": "VTI ",
    "a line end": "VTI\n",
    "a tab": "V\tTI",
    "NUL": "V\x00TI",
    "delete": "VTI\x7f",
    "a control of C1": "VTI\x85x",
    "a no-break space": "V\u00a0TI",
    "a wide space": "V\u3000TI",
    "a soft hyphen": "V\u00adTI",
    "a zero-width space": "VTI\u200b",
    "a zero-width joiner": "V\u200dTI",
    "a byte order mark": "\ufeffVTI",
    "a word joiner": "V\u2060TI",
    "right-to-left override": "VTI\u202e",
    "a right-to-left mark": "VTI\u200f",
    "an isolate": "\u2066VTI\u2069",
    "a line separator": "V\u2028TI",
    "a tag": "VTI\U000e0041",
    "a variation selector": "VTI\ufe0f",
    "a grapheme joiner": "V\u034fTI",
    "a Hangul filler": "\u3164",
    "a blank of Braille": "V\u2800TI",
    "half a surrogate pair": "VTI\ud800",
    "a private character": "VTI\ue000",
}


def target(weight: str | Weight, name: str = "VTI", band: DriftBand = BAND) -> Target:
    return Target(name, Decimal(weight) if isinstance(weight, str) else weight, band)


def globeco(*targets: Target, portfolios: tuple[str, ...] = (PORTFOLIO,)) -> None:
    GLOBECO.check(Model("Growth", targets, portfolios))


def field_of(error: pytest.ExceptionInfo[RuleError]) -> tuple[str | int, ...]:
    return error.value.field


@pytest.mark.parametrize("name", READABLE)
def test_an_id_is_what_people_have(name: str):
    model = Model("Growth", (target("0.1", name),), (name,))
    assert (model.targets[0].security_id, model.portfolio_ids) == (name, (name,))


@pytest.mark.parametrize("name", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_an_id_that_cannot_be_read_from_paper_is_refused(name: str):
    with pytest.raises(RuleError, match="1 to 64 printable characters"):
        target("0.1", name)
    with pytest.raises(RuleError, match="printable"):
        Model("Growth", (), (name,))
    group = GroupBand("g", frozenset({name}))
    for options in (
        {"do_not_buy": frozenset({name})},
        {"lots": {name: Decimal(1)}},
        {"groups": (group,)},
    ):
        with pytest.raises(RuleError, match="printable"):
            RebalanceOptions(**options)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("weight", ["0", "1", "0.000000000001", "0.333333333333", "0.10000"])
def test_a_target_has_up_to_12_decimals(weight: str):
    assert target(weight).weight == Decimal(weight)


@pytest.mark.parametrize(
    "weight", ["0.0000000000001", "-0.1", "1.000000000001", "NaN", "Infinity", "1E-30", "2"]
)
def test_any_other_target_is_refused(weight: str):
    with pytest.raises(RuleError, match="a target"):
        target(weight)


def test_targets_sum_to_1_at_most():
    assert len(Model("All", (target("0.4"), target("0.6", "BND")), (PORTFOLIO,)).targets) == 2
    with pytest.raises(RuleError, match="sum to 1 at most"):
        Model("More", (target("0.4"), target("0.600000000001", "BND")), (PORTFOLIO,))


def test_thirds_sum_to_exactly_1():
    thirds = tuple(target(THIRD, name) for name in ("A", "B", "C"))
    assert len(Model("Thirds", thirds, (PORTFOLIO,)).targets) == 3
    with pytest.raises(RuleError, match="sum to 1 at most"):
        Model("More", (*thirds, target("0.000000000001", "D")), (PORTFOLIO,))


def test_a_fraction_keeps_its_text_and_computes_as_its_value():
    half = WrittenFraction.parse("17/34")
    for same in (half, copy(half), deepcopy(half), pickle.loads(pickle.dumps(half))):
        assert (str(same), same, same + same) == ("17/34", Fraction(1, 2), 1)


@pytest.mark.parametrize(
    "text",
    [
        "1/0",
        "1/",
        "/3",
        "-1/3",
        "1 / 3",
        "1/3\n",
        "0.5/2",
        "01/3",
        "1/03",
        "1" * 13 + "/3",
        "\u0661/\u0663",
    ],
)
def test_a_text_that_is_not_a_fraction_is_refused(text: str):
    with pytest.raises(ValueError, match="such as 1/3"):
        WrittenFraction.parse(text)


def test_a_fraction_above_1_is_refused():
    with pytest.raises(RuleError, match="from 0 to 1"):
        target(WrittenFraction.parse("4/3"))


def test_fractions_whose_common_denominator_is_endless_are_refused():
    odd = (999999999989, 999999999961, 999999999959)
    lines = tuple(
        target(WrittenFraction.parse(f"1/{denominator}"), f"S{denominator}") for denominator in odd
    )
    assert len(Model("Two", lines[:2], (PORTFOLIO,)).targets) == 2
    with pytest.raises(RuleError, match="common denominator of at most 34 digits"):
        Model("Three", lines, (PORTFOLIO,))


def test_a_model_has_up_to_5000_positions_with_a_target():
    lines = [target("0.0001", f"S{i}") for i in range(5_001)]
    zeros = [target("0", f"Z{i}") for i in range(5)]
    assert len(Model("Index", (*lines[:5_000], *zeros), (PORTFOLIO,)).targets) == 5_000
    with pytest.raises(RuleError, match="5,000 positions"):
        Model("Index", tuple(lines), (PORTFOLIO,))


def test_a_band_may_be_a_cap():
    cap = DriftBand(Decimal("0.5"), Decimal(0))
    assert target("0.5", band=cap).band.low == Decimal("0.5")
    with pytest.raises(RuleError, match="low drift may not exceed the high drift") as caught:
        globeco(target("0.5", "A" * 24, cap))
    assert field_of(caught) == ("targets", 0, "band", "low")


@pytest.mark.parametrize(
    ("weight", "relative", "absolute", "drift"),
    [
        ("0.10", "0.25", "0.05", Decimal("0.025")),
        ("0.20", "0.25", "0.05", Decimal("0.05")),
        ("0.40", "0.25", "0.05", Decimal("0.05")),
        ("0.40", "0.25", None, Decimal("0.1")),
        ("0", "0.25", "0.05", 0),
        (THIRD, "0.25", None, Fraction(1, 12)),
        (THIRD, "0.25", "0.05", Decimal("0.05")),
        ("0.000000000001", "0.000000000001", None, Decimal("1E-24")),
    ],
)
def test_a_relative_band_is_a_part_of_the_target_and_at_most_the_absolute_one(
    weight: str | Weight, relative: str, absolute: str | None, drift: Weight
):
    weight = Decimal(weight) if isinstance(weight, str) else weight
    band = relative_band(
        weight,
        Decimal(relative),
        absolute and Decimal(absolute),  # pyright: ignore[reportArgumentType]
    )
    assert (band.low, band.high) == (drift, drift)


@pytest.mark.parametrize(("relative", "absolute"), [("1.1", "0"), ("-0.1", "0"), ("0.1", "2")])
def test_a_relative_band_is_made_of_parts(relative: str, absolute: str):
    with pytest.raises(RuleError, match="fraction from 0 to 1"):
        relative_band(Decimal("0.5"), Decimal(relative), Decimal(absolute))


@pytest.mark.parametrize("security", ["A" * 23, "A" * 25, "-" * 24, "é" * 24])
def test_a_globeco_id_has_exactly_24_letters_or_digits(security: str):
    with pytest.raises(RuleError, match="exactly 24") as caught:
        globeco(target("0.1", security))
    assert field_of(caught) == ("targets", 0, "security_id")
    with pytest.raises(RuleError, match="exactly 24") as caught:
        globeco(portfolios=(PORTFOLIO, security))
    assert field_of(caught) == ("portfolio_ids", 1)
    options = RebalanceOptions(frozen=frozenset({security}))
    with pytest.raises(RuleError, match="exactly 24") as caught:
        GLOBECO.check(Model("Growth", (), (PORTFOLIO,), options=options))
    assert field_of(caught) == ("options", "frozen")


def test_a_globeco_id_need_not_be_hexadecimal():
    globeco(target("0.1", "Zz9" * 8), portfolios=("Q7x" * 8,))


@pytest.mark.parametrize("weight", ["0", "0.005", "0.95", "0.10000"])
def test_a_globeco_target_is_zero_or_a_multiple_of_half_a_percent(weight: str):
    globeco(target(weight, "A" * 24))


@pytest.mark.parametrize("weight", ["0.003", "0.0051", "0.955", "1", WrittenFraction.parse("1/4")])
def test_any_other_globeco_target_is_refused(weight: str | Weight):
    with pytest.raises(RuleError, match="a target is") as caught:
        globeco(target("0", "B" * 24), target("0", "C" * 24), target(weight, "A" * 24))
    assert field_of(caught) == ("targets", 0, "weight")


def test_globeco_targets_sum_to_95_percent_at_most():
    globeco(target("0.5", "A" * 24), target("0.45", "B" * 24))
    with pytest.raises(RuleError, match=r"0\.95 at most"):
        globeco(target("0.5", "A" * 24), target("0.455", "B" * 24))


def test_a_globeco_model_has_at_most_100_positions_with_a_target():
    lines = [target("0.005", f"{i:024d}") for i in range(101)]
    globeco(*lines[:100])
    with pytest.raises(RuleError, match="100 positions"):
        globeco(*lines)


def test_the_general_rules_accept_every_model_of_the_globeco_rules():
    for name in ("max_weight", "max_invested", "max_targets"):
        assert getattr(GLOBECO, name) <= getattr(GENERAL, name)
    assert GLOBECO.weight_step % GENERAL.weight_step == 0
