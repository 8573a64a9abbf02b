"""Prices of many decimals and amounts beyond 64 bits: exact answers all the same."""

from decimal import Decimal
from fractions import Fraction

import pytest

from optimization.domain.certificate import Method
from optimization.domain.drift_band import DriftBand
from optimization.domain.model import Model, Target
from optimization.domain.options import RebalanceOptions
from optimization.domain.outcome import PortfolioOutcome
from optimization.domain.portfolio import Portfolio, price_targets
from optimization.engine import rebalance, rebalance_all
from tests.optimization.support.by_hand import PORTFOLIO, A, B, model, portfolio


def test_round_numbers_are_not_off_by_one():
    wide = Model(
        "m", (Target(A, Decimal("0.18"), DriftBand(Decimal(0), Decimal("0.02"))),), (PORTFOLIO,)
    )
    # 236800 * 0.20 / 20 is 2368 exactly, 2367 in floats; the floor of the band is 2131.2.
    held = portfolio("189440", {"A": "20"}, A="2368")

    answer = rebalance(wide, held)

    assert answer.certificate is not None
    assert answer.after == (2131,) or answer.after == (2132,)
    assert Fraction(20 * int(answer.after[0])) >= Fraction(236800) * Fraction(18, 100)


def test_prices_of_six_decimals_stay_exact():
    answer = rebalance(model(A="0.5"), portfolio("1000000.01", {"A": "3.141593"}))

    shares = int(answer.after[0])
    assert answer.cash_after == Decimal("1000000.01") - shares * Decimal("3.141593")


def test_amounts_beyond_64_bits_take_the_same_path_in_big_integers():
    huge = portfolio("123456789012345678901234.56", {"A": "0.000001"})

    answer = rebalance(model("0.001", A="0.95"), huge)

    assert answer.certificate is not None
    assert answer.certificate.method is Method.SEPARABLE
    assert answer.certificate.objective < Decimal("0.000001")
    assert answer.cash_after is not None
    assert answer.cash_after + int(answer.after[0]) * Decimal("0.000001") == huge.cash


def test_amounts_of_more_digits_than_decimals_usually_have_are_not_rounded():
    huge = portfolio("1000000000000000000000000000000.01", {"A": "0.000001"}, A="1")

    assert huge.market_value == Decimal("1000000000000000000000000000000.010001")


def test_an_account_beyond_64_bits_changes_no_answer_beside_it():
    prices = {A: Decimal(1), B: Decimal(1)}
    securities = price_targets(model(A="0.4", B="0.4"), prices)
    shares = Decimal(10**19)
    small = Portfolio(PORTFOLIO, Decimal(1000), {}, prices)
    large = Portfolio(PORTFOLIO, Decimal(1000), {A: shares, B: -shares}, prices)

    answers = rebalance_all(securities, [small, large, small])

    assert [answer.after for answer in answers if isinstance(answer, PortfolioOutcome)] == [
        (400, 400)
    ] * 3


def test_bands_of_ten_decimals_are_exact_where_their_products_pass_64_bits():
    fine = model("0.0000000001", A="0.95")
    account = portfolio("99000000.01", {"A": "1"})

    answer = rebalance(fine, account)

    assert answer.after == (94_050_000,)
    assert answer.certificate is not None
    assert answer.certificate.objective == Decimal("0.0095")


@pytest.mark.parametrize(
    "option",
    [
        "cash_floor",
        "cash_ceiling",
        "cash_flow",
        "turnover_cap",
        "soft_band_price",
        "minimum_shares",
        "minimum_value",
        "maximum_trades",
    ],
)
@pytest.mark.parametrize("digits", [18, 19, 30])
def test_a_number_of_an_option_beyond_64_bits_has_an_answer(option: str, digits: int):
    value = 10**digits if option == "maximum_trades" else Decimal(10) ** digits
    account = Portfolio("P" * 24, Decimal(1000), {A: Decimal(3)}, {A: Decimal(10), B: Decimal(7)})

    options = RebalanceOptions(**{option: value})  # pyright: ignore[reportArgumentType]
    answer = rebalance(model(A="0.5", B="0.4"), account, options)

    assert (answer.refusal is None) == (option != "cash_floor")
    if option.startswith("minimum"):
        assert answer.transactions == ()
