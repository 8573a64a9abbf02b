"""rebalance_block gives every portfolio the answer of rebalance_all, in any company."""

import doctest
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimization import (
    BESIDE,
    EXACT,
    STATUSES,
    CertificationError,
    Direction,
    DriftBand,
    Model,
    OptimizationError,
    OtherHoldings,
    Percent,
    Portfolio,
    PortfolioBlock,
    PortfolioOutcome,
    PricedTarget,
    PricesMissingError,
    RebalanceOptions,
    RuleError,
    ScaledColumn,
    Scope,
    Status,
    TimeBudget,
    price_targets,
    rebalance_all,
    rebalance_block,
)
from optimization.errors import SolverInterruptedError
from optimization.solvers import separable
from optimization.solvers.separable import Separable
from tests.optimization.recorded import BOOK, COUNTS, book, digest, recorded, said, short
from tests.optimization.support.budgets import EndlessBudget, answer_alone
from tests.optimization.support.by_hand import PORTFOLIO, A, B, model
from tests.optimization.support.columns import (
    block_as_written,
    block_of,
    column,
    complete_text,
    digits_of,
)
from tests.optimization.support.random_blocks import Case, cases
from tests.optimization.support.random_problems import security_id

IN_BAND = STATUSES.index(Status.IN_BAND)


def test_the_slack_of_a_floor_in_percent_is_that_of_the_portfolio_alone():
    targets = (("0.145", "0.145", "0.055"), ("0.125", "0", "0.075"), ("0.150", "0", "0.050"))
    bands = [
        (Decimal(weight), DriftBand(Decimal(low), Decimal(high))) for weight, low, high in targets
    ]
    securities = tuple(
        PricedTarget(security_id(i), Decimal(1), *target) for i, target in enumerate(bands)
    )
    prices = {security.security_id: security.price for security in securities}
    prices |= {"WHOLE": Decimal(1), "CENTS": Decimal("31.07")}
    tight = Portfolio("0" * 24, Decimal(0), {"WHOLE": Decimal(5)}, prices)
    neighbour = Portfolio("1" * 24, Decimal(10**6), {"CENTS": Decimal(7)}, prices)
    options = RebalanceOptions(cash_floor=Percent(Decimal(41)))

    (alone,) = rebalance_all(securities, [tight], options)
    together = rebalance_all(securities, [tight, neighbour], options)

    assert isinstance(alone, PortfolioOutcome)
    assert alone.certificate is not None
    assert [binding.constraint for binding in alone.certificate.binding] == ["cash_floor"]
    assert complete_text(together[0]) == complete_text(alone)


def test_the_slack_of_a_floor_of_many_digits_is_that_of_the_portfolio_alone():
    prices = {A: Decimal(20), B: Decimal(20), "GOLD": Decimal("61.035")}
    securities = price_targets(model("0.3", A="0.5", B="0.5"), prices)
    tight = Portfolio("0" * 24, Decimal("0.00"), {B: Decimal(3)}, prices)
    neighbour = Portfolio("1" * 24, Decimal("0.01"), {"GOLD": Decimal(1)}, prices)
    options = RebalanceOptions(cash_floor=Decimal("12.3456"))

    (alone,) = rebalance_all(securities, [tight], options)

    pair = [tight, neighbour]
    together = rebalance_block(securities, block_of(securities, pair), options).outcome(0)
    assert complete_text(together) == complete_text(alone)
    assert complete_text(rebalance_all(securities, pair, options)[0]) == complete_text(alone)
    many = rebalance_all(securities, pair * 10, options)
    assert complete_text(many[0]) == complete_text(alone)


def test_fractions_outside_the_model_count_whole_where_a_unit_has_many_parts():
    prices = {A: Decimal("1.00"), "GOLD": Decimal("250.250000"), "TINY": Decimal("0.000001")}
    securities = (
        PricedTarget(A, prices[A], Fraction(1, 3), DriftBand(Decimal(0), Decimal("0.002"))),
    )
    holdings = {"GOLD": Decimal("1.096319184"), "TINY": Decimal(1)}
    account = Portfolio(PORTFOLIO, Decimal(0), holdings, prices)

    answer = rebalance_block(securities, block_of(securities, [account])).outcome(0)

    assert complete_text(answer) == complete_text(rebalance_all(securities, [account])[0])
    assert isinstance(answer, PortfolioOutcome)
    assert answer.certificate is not None
    assert answer.certificate.objective > 24


def texts(answers: Sequence[object]) -> list[str]:
    return [complete_text(answer) for answer in answers]


@settings(max_examples=200, deadline=None)
@given(case=cases(), data=st.data())
def test_every_answer_is_the_one_of_the_objects_to_the_last_digit(case: Case, data: st.DataObject):
    securities, portfolios, digits, options = case
    expected = [answer_alone(securities, portfolio, options) for portfolio in portfolios]
    order = data.draw(st.permutations(range(len(portfolios))))
    shuffled = [portfolios[place] for place in order]
    block = block_of(securities, shuffled, digits)
    cut = data.draw(st.integers(0, len(portfolios)))

    together = rebalance_block(securities, block, options, EndlessBudget())
    parts = [
        rebalance_block(securities, block.select(rows), options, EndlessBudget())
        for rows in (slice(0, cut), slice(cut, len(block)))
    ]

    found = together.outcomes()
    assert texts(found) == texts([outcome for part in parts for outcome in part.outcomes()])
    assert texts(found) == texts([expected[place] for place in order])
    assert texts(rebalance_all(securities, shuffled, options, EndlessBudget())) == texts(found)
    assert together.transactions.tolist() == [
        len(answer.transactions) if isinstance(answer, PortfolioOutcome) else 0 for answer in found
    ]


def rewritten(draw: st.DataObject, amount: Decimal) -> Decimal:
    """The amount with fewer or more digits after the point."""
    more = draw.draw(st.sampled_from([None, -9, 0, 1, 4]))
    if more is None:
        return amount
    return EXACT.normalize(amount) if more < 0 else EXACT.quantize(amount, digits(amount, more))


def digits(amount: Decimal, more: int) -> Decimal:
    return Decimal((0, (1,), int(amount.as_tuple().exponent) - more))


@settings(max_examples=200, deadline=None)
@given(case=cases(), data=st.data())
def test_amounts_that_are_written_with_different_digits_keep_their_own(
    case: Case, data: st.DataObject
):
    securities, portfolios, _, options = case
    portfolios = [
        replace(
            portfolio,
            cash=rewritten(data, portfolio.cash),
            holdings={name: rewritten(data, shares) for name, shares in portfolio.holdings.items()},
        )
        for portfolio in portfolios
    ]
    expected = [answer_alone(securities, portfolio, options) for portfolio in portfolios]
    block = block_as_written(securities, portfolios)
    cut = data.draw(st.integers(0, len(portfolios)))

    together = rebalance_block(securities, block, options, EndlessBudget()).outcomes()
    parts = [
        rebalance_block(securities, block.select(rows), options, EndlessBudget()).outcomes()
        for rows in (slice(0, cut), slice(cut, len(block)))
    ]

    assert texts(together) == texts(expected)
    assert texts([outcome for part in parts for outcome in part]) == texts(expected)


@pytest.mark.parametrize("kind", COUNTS)
def test_every_recorded_problem_has_its_recorded_answer_as_a_block_of_one(kind: str):
    for number, known in enumerate(recorded()[kind]):
        if known is not None:
            assert digest(kind, number, by_block) == known, f"{kind} {number}"


def by_block(model: Model, portfolio: Portfolio, options: RebalanceOptions) -> PortfolioOutcome:
    securities = price_targets(model, portfolio.prices)
    (answer,) = rebalance_block(securities, block_of(securities, [portfolio]), options).outcomes()
    if isinstance(answer, OptimizationError):
        raise answer
    return answer


@pytest.mark.parametrize("size", [720, 7])
def test_a_book_has_its_recorded_answers_in_blocks_of_any_size(size: int):
    securities, portfolios, options = book()
    ids = [portfolio.portfolio_id for portfolio in portfolios]
    known = dict(zip(ids, recorded()[BOOK], strict=True))
    # A block has one scale, which shows in the digits of a market value.
    written = [digits_of(list(portfolio.holdings.values())) for portfolio in portfolios]
    for of_digits in (0, 2):
        alike = [*compress(portfolios, [digits == of_digits for digits in written])]
        for first in range(0, len(alike), size):
            block = block_of(securities, alike[first : first + size])
            answers = rebalance_block(securities, block, options).outcomes()
            assert [short(said(answer)) for answer in answers] == list(
                map(known.get, block.portfolio_ids)
            )


def test_most_of_a_book_is_answered_in_arrays_fractions_and_other_holdings_included():
    securities, portfolios, _ = book()

    answer = rebalance_block(securities, block_of(securities, portfolios))

    fractional = [any(u % 1 for u in portfolio.holdings.values()) for portfolio in portfolios]
    in_arrays = answer.status != BESIDE
    assert in_arrays[np.array(fractional)].mean() > 0.6
    assert in_arrays.mean() > 0.6
    assert len(answer.others.rows) > 100


@pytest.mark.parametrize(
    ("options", "share"),
    [
        (RebalanceOptions(direction=Direction.BUY_ONLY, cash_flow=Decimal(20_000)), 0.2),
        (RebalanceOptions(direction=Direction.SELL_ONLY), 0.2),
        (RebalanceOptions(scope=Scope.DRIFTED_TO_TARGET), 0.7),
        (RebalanceOptions(scope=Scope.DRIFTED_TO_EDGE), 0.7),
        (RebalanceOptions(do_not_buy=frozenset({security_id(0)})), 0.4),
        (RebalanceOptions(do_not_sell=frozenset({security_id(1)})), 0.4),
        (RebalanceOptions(frozen=frozenset({security_id(2)})), 0.4),
        (RebalanceOptions(lots={security_id(0): Decimal(5), security_id(3): Decimal(2)}), 0.4),
    ],
)
def test_restricted_rows_are_answered_in_arrays_with_what_binds(
    options: RebalanceOptions, share: float
):
    securities, portfolios, _ = book()
    is_whole = [not digits_of(list(portfolio.holdings.values())) for portfolio in portfolios]
    whole = [*compress(portfolios, is_whole)][:90]
    wide = tuple(
        replace(security, band=DriftBand(security.band.low * 8, security.band.high * 8))
        for security in securities
    )

    answer = rebalance_block(wide, block_of(wide, whole), options)

    alone = [rebalance_all(wide, [portfolio], options)[0] for portfolio in whole]
    assert [said(outcome) for outcome in answer.outcomes()] == [said(outcome) for outcome in alone]
    assert (answer.status != BESIDE).mean() > share


def test_rows_beside_trade_nothing_in_the_columns_and_have_amounts_of_0():
    securities = price_targets(model("0.001", A="0.5"), {A: Decimal(333)})
    accounts = [
        Portfolio(PORTFOLIO, Decimal(cash), {A: Decimal(2)}, {A: Decimal(333)})
        for cash in (334, 666)
    ]

    answer = rebalance_block(securities, block_of(securities, accounts))

    assert (answer.status.tolist(), list(answer.beside)) == ([BESIDE, IN_BAND], [0])
    assert answer.outcome(0) is answer.beside[0]
    assert answer.after.units.tolist() == answer.before.units.tolist() == [[2], [2]]
    columns = answer.market_value, answer.cash_before, answer.cash_after, answer.objective
    assert [column.units.tolist()[0] for column in columns] == [0] * 4
    assert answer.market_value.value(1) == 1332


def test_an_account_beyond_64_bits_leaves_the_columns_exact():
    prices = {A: Decimal(1), B: Decimal(1)}
    securities = price_targets(model(A="0.4", B="0.4"), prices)
    small = Portfolio(PORTFOLIO, Decimal(1000), {}, prices)
    large = Portfolio(PORTFOLIO, Decimal(10**22), {A: Decimal(5)}, prices)

    answer = rebalance_block(securities, block_of(securities, [small, large]))

    assert answer.market_value.units.tolist() == [1000, 10**22 + 5]
    assert answer.after.units.tolist() == [[400, 400], [4 * 10**21 + 2, 4 * 10**21 + 2]]
    assert answer.beside == {}


@pytest.mark.parametrize("more", [5, -6])
def test_a_plan_that_fails_verification_is_never_in_the_columns(
    monkeypatch: pytest.MonkeyPatch, more: int
):
    right = separable.solve

    def wrong(*args: Any) -> Separable:
        return replace(right(*args), lots=right(*args).lots + more)

    monkeypatch.setattr(separable, "solve", wrong)
    account = Portfolio(PORTFOLIO, Decimal(100), {}, {A: Decimal(10)})
    securities = price_targets(model("0.3", A="0.5"), account.prices)

    answer = rebalance_block(securities, block_of(securities, [account])).outcome(0)

    assert isinstance(answer, CertificationError)


def test_a_block_without_rows_has_no_answers():
    securities = price_targets(model(A="0.5"), {A: Decimal(10)})
    empty = PortfolioBlock((), column([], 0), column([], 0, (0, 1)), OtherHoldings.none())

    answer = rebalance_block(securities, empty)

    assert (len(answer), answer.outcomes(), answer.transactions.tolist()) == (0, [], [])


def test_an_interrupted_budget_stops_a_block():
    budget = TimeBudget()
    budget.interrupt()
    account = Portfolio(PORTFOLIO, Decimal(100), {}, {A: Decimal(10)})
    securities = price_targets(model(A="0.5"), account.prices)

    with pytest.raises(SolverInterruptedError):
        rebalance_block(securities, block_of(securities, [account]), budget=budget)


def test_a_block_of_another_model_is_refused():
    account = Portfolio(PORTFOLIO, Decimal(1), {A: Decimal(2)}, {A: Decimal(10), B: Decimal(1)})
    of_a = price_targets(model(A="0.5"), account.prices)
    of_b = price_targets(model(B="0.5"), account.prices)
    of_both = price_targets(model(A="0.5", B="0.1"), account.prices)

    with pytest.raises(RuleError, match="the model has 2 securities"):
        rebalance_block(of_both, block_of(of_a, [account]))
    with pytest.raises(RuleError, match="other holdings are outside the model"):
        rebalance_block(of_a, block_of(of_b, [account]))
    with pytest.raises(PricesMissingError, match=A):
        rebalance_block((replace(of_a[0], price=Decimal(0)),), block_of(of_a, [account]))


ONE = ScaledColumn.from_numbers([Decimal(1)])
TWO = ScaledColumn.from_numbers([Decimal(1), Decimal(2)])


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: ScaledColumn(np.zeros(1, dtype=np.float64), 0), "units.dtype is 'float64'"),
        (lambda: ScaledColumn(np.zeros(1, dtype=np.int64), -1), "decimals is -1"),
        (lambda: ScaledColumn.from_numbers([Decimal("NaN")]), "a value is a finite number"),
        (lambda: others([0], [0], TWO), "have one length"),
        (lambda: others([0, 0], [1, 0], TWO), "ascend by row"),
        (lambda: others([0, 0], [1, 1], TWO), "ascend by row"),
        (lambda: others([0], [2], ONE), "a place in ids"),
        (lambda: others([-1], [0], ONE), "ascend by row"),
        (lambda: others([0], [0], ScaledColumn.from_numbers([Decimal(0)])), "not of 0 shares"),
        (lambda: others([0], [0], ONE, ids=("B", "A")), "ids ascend"),
        (lambda: others([0], [0], ONE, prices=(Decimal(1),)), "each with one price"),
        (lambda: PortfolioBlock(("P",), TWO, wide(1), OtherHoldings.none()), "cash is one amount"),
        (lambda: PortfolioBlock(("P",), ONE, wide(2), OtherHoldings.none()), "one row a portfolio"),
        (lambda: PortfolioBlock(("P",), ONE, wide(1), others([1], [0], ONE)), "row of the block"),
    ],
)
def test_columns_that_do_not_fit_are_refused(make: Callable[[], object], what: str):
    with pytest.raises(RuleError, match=what):
        make()


def test_other_holdings_without_a_price_are_named():
    with pytest.raises(PricesMissingError) as caught:
        others([0], [0], ONE, prices=(Decimal(1), Decimal(0)))

    assert caught.value.security_ids == ("B",)


def others(
    rows: list[int],
    securities: list[int],
    quantities: ScaledColumn,
    ids: tuple[str, ...] = ("A", "B"),
    prices: tuple[Decimal, ...] = (Decimal(1), Decimal(2)),
) -> OtherHoldings:
    places = np.array(rows, dtype=np.int32), np.array(securities, dtype=np.int32)
    return OtherHoldings(*places, quantities, ids, prices)


def wide(rows: int) -> ScaledColumn:
    return ScaledColumn(np.ones((rows, 2), dtype=np.int64), 0)


def test_the_example_of_the_documentation_runs():
    page = Path(__file__).parents[2] / "docs/reference/python.md"

    found = doctest.testfile(str(page), module_relative=False, raise_on_error=True)

    assert found.attempted > 5
