"""Outcomes of rebalance_all read arrays on demand, and equal those of a portfolio alone."""

import copy
import pickle
from collections.abc import Sequence
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimization import (
    EXACT,
    Drift,
    DriftBand,
    Portfolio,
    PortfolioOutcome,
    PricedTarget,
    RebalanceOptions,
    Side,
    Status,
    Transaction,
    compute_weight,
    rebalance_all,
)
from optimization.engine import MIN_ROWS
from optimization.exact.portfolio_columns import scale_decimals
from tests.optimization.support.budgets import EndlessBudget
from tests.optimization.support.columns import complete_text
from tests.optimization.support.random_blocks import Case, cases

BAND = DriftBand(Decimal("0.2"), Decimal("0.2"))
FUNDS = (
    PricedTarget("BONDS", Decimal("2.50"), Decimal("0.5"), BAND),
    PricedTarget("STOCKS", Decimal("10.00"), Decimal("0.4"), BAND),
)
PRICES = {"BONDS": Decimal("2.50"), "STOCKS": Decimal("10.00"), "GOLD": Decimal("61.0")}


def account(number: int, cash: str = "1000", **holdings: str) -> Portfolio:
    held = {name: Decimal(shares) for name, shares in holdings.items()}
    return Portfolio(f"P{number}", Decimal(cash), held, PRICES)


def everything_in(answer: object) -> list[str]:
    """Everything that can be read from an answer, every digit of it."""
    if not isinstance(answer, PortfolioOutcome):
        return [complete_text(answer)]
    lines = [
        f"{line!r} {line.change} {line.trade_quantity} {line.actual}" for line in answer.drifts
    ]
    return [complete_text(answer), *lines, repr(answer.transactions), repr(answer.turnover)]


@settings(max_examples=150, deadline=None)
@given(case=cases())
def test_every_answer_in_company_is_that_of_the_portfolio_alone(case: Case):
    securities, portfolios, _, options = case
    alone = [
        everything_in(rebalance_all(securities, [portfolio], options, EndlessBudget())[0])
        for portfolio in portfolios
    ]

    together = rebalance_all(securities, portfolios * MIN_ROWS, options, EndlessBudget())

    assert [everything_in(answer) for answer in together] == alone * MIN_ROWS


class RecordedSource:
    """Answers of one row, which count how often they are read."""

    def __init__(self, values: Sequence[Any]) -> None:
        self._values, self.reads = values, 0

    def read_values(self, row: int) -> Sequence[Any]:
        self.reads += 1
        return [f"P{row}", *self._values[1:]]

    def read_turnover(self, row: int) -> Decimal | None:
        return Decimal(900) if row == 7 else None

    def read_weights(self, row: int) -> Sequence[Decimal] | None:
        return [Decimal("0.5"), Decimal("0.4")] if row == 7 else None


def values(answer: PortfolioOutcome) -> list[Any]:
    return [getattr(answer, name) for name in PortfolioOutcome.__match_args__]


def test_the_fields_are_read_from_the_arrays_once_and_only_if_asked_for():
    (whole,) = rebalance_all(FUNDS, [account(7)])
    assert isinstance(whole, PortfolioOutcome)
    source = RecordedSource(values(whole))

    made = PortfolioOutcome.from_row(source, 7)

    assert source.reads == 0
    assert (made.status, made.portfolio_id, made.transactions) == (
        Status.REBALANCED,
        "P7",
        (Transaction(Side.BUY, "BONDS", 200), Transaction(Side.BUY, "STOCKS", 40)),
    )
    assert made == whole
    assert (made.turnover, [*made.drifts]) == (whole.turnover, [*whole.drifts])
    assert [line.actual for line in made.drifts] == [line.actual for line in whole.drifts]
    assert source.reads == 1


def test_an_outcome_has_no_other_attributes_than_its_own():
    outcome = rebalance_all(FUNDS, [account(number) for number in range(MIN_ROWS)])[0]

    assert not hasattr(outcome, "__array__")
    with pytest.raises(AttributeError, match="PortfolioOutcome has no attribute prices"):
        outcome.prices  # type: ignore[union-attr]  # noqa: B018


def test_an_outcome_is_copied_pickled_and_replaced_without_the_arrays_behind_it():
    outcomes = rebalance_all(FUNDS, [account(number, BONDS="3") for number in range(MIN_ROWS)])

    for answer in outcomes[:1]:
        assert isinstance(answer, PortfolioOutcome)
        text = pickle.dumps(answer)
        for duplicate in (
            pickle.loads(text),
            copy.copy(answer),
            copy.deepcopy(answer),
            replace(answer),
        ):
            assert everything_in(duplicate) == everything_in(answer)
            assert not hasattr(duplicate, "_source")
        assert b"numpy" not in text


def test_fractions_that_are_worth_nothing_together_are_still_fractions():
    cancelling = account(0, BONDS="0.4", STOCKS="-0.1")
    portfolios = [cancelling, *(account(number) for number in range(1, MIN_ROWS))]
    assert cancelling.market_value == 1000

    together = rebalance_all(FUNDS, portfolios)[0]

    assert everything_in(together) == everything_in(rebalance_all(FUNDS, [cancelling])[0])
    assert isinstance(together, PortfolioOutcome)
    assert together.before == (Decimal("0.4"), Decimal("-0.1"))


@pytest.mark.parametrize(
    "holdings",
    [
        {"BONDS": "-3"},
        {"BONDS": "0.5"},
        {"GOLD": "2.00"},
        {"GOLD": "-2.5", "STOCKS": "1E+2"},
        {"BONDS": "12.000", "STOCKS": "4", "GOLD": "0.75"},
        {"BONDS": "9" * 19},
        {"BONDS": "-" + "9" * 30, "GOLD": "1" + "0" * 22},
    ],
)
def test_holdings_of_any_kind_stand_beside_others(holdings: dict[str, str]):
    odd = account(0, **holdings)
    portfolios = [*(account(number, BONDS="5") for number in range(1, MIN_ROWS)), odd]
    options = RebalanceOptions(cash_flow=Decimal("0.125"))

    together = rebalance_all(FUNDS, portfolios, options)

    assert [everything_in(answer) for answer in together] == [
        everything_in(rebalance_all(FUNDS, [portfolio], options)[0]) for portfolio in portfolios
    ]


def test_a_column_has_the_digits_that_its_values_are_written_with():
    column = scale_decimals([Decimal("1.250"), Decimal("1E+3"), Decimal(-2)])

    assert (column.units.tolist(), column.decimals) == ([1250, 1_000_000, -2000], 3)
    assert scale_decimals([Decimal(10**19)]).units.tolist() == [10**19]
    assert scale_decimals([]).units.tolist() == []


def test_values_far_apart_become_a_column_without_loss():
    values = [Decimal(10) ** 110, Decimal("1E-20")]

    column = scale_decimals(values)

    assert [column.value(row) for row in (0, 1)] == values


@given(
    shares=st.integers(-(10**12), 10**12) | st.decimals("-1E+9", "1E+9", places=9),
    price=st.decimals("0.000001", "1E+7", places=6),
    base=st.decimals("-1E+12", "1E+12", places=6),
)
def test_a_weight_is_the_quotient_rounded_half_up(
    shares: int | Decimal, price: Decimal, base: Decimal
):
    expected = Decimal("0.0000")
    if base and (shares or base < 0):
        quotient = EXACT.divide(EXACT.multiply(Decimal(shares), price), base)
        expected = quotient.quantize(Decimal("0.0001"), ROUND_HALF_UP, EXACT)

    assert str(compute_weight(shares, price, base)) == str(expected)
    line = Drift(PricedTarget("VTI", price, Decimal(0), BAND), 0, shares, base)
    assert line.actual == expected
