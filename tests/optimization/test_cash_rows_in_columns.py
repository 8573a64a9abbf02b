"""Portfolios short of cash stay in columns, with the answer of the portfolio alone."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimization import (
    BESIDE,
    METHODS,
    DriftBand,
    Method,
    Percent,
    Portfolio,
    PortfolioOutcome,
    PricedTarget,
    RebalanceOptions,
    Status,
    TimeBudget,
    price_targets,
    rebalance_all,
    rebalance_block,
)
from optimization.errors import SolverInterruptedError
from optimization.solvers import cash_rows
from tests.optimization.recorded import FLOOR, book
from tests.optimization.support.by_hand import A, B, model
from tests.optimization.support.columns import block_of, complete_text, digits_of

COVER = METHODS.index(Method.COVER)


@st.composite
def tight_books(draw: st.DrawFn) -> tuple[tuple[PricedTarget, ...], list[Portfolio]]:
    """Whole holdings and a little cash, so that rounding up to the targets overspends."""
    count, digits = draw(st.integers(1, 5)), draw(st.sampled_from([0, 2, 4]))
    price = st.integers(20 * 10**digits, 400 * 10**digits).map(lambda p: Decimal(p).scaleb(-digits))
    weight = (Decimal(draw(st.integers(4, 8))) / 8 / count).quantize(Decimal("0.001"))
    wide = DriftBand(Decimal("0.3"), Decimal("0.3"))
    narrow = DriftBand(Decimal("0.02"), Decimal("0.02"))
    securities = tuple(
        PricedTarget(f"S{at}", draw(price), weight, draw(st.sampled_from([wide, narrow])))
        for at in range(count)
    )
    prices = {security.security_id: security.price for security in securities} | {
        "GOLD": Decimal("61.035"),
        "OIL": Decimal("1E+2"),
    }
    cash = st.integers(0, 90_000).map(lambda cents: Decimal(cents).scaleb(-2))
    shares = st.integers(0, 30).map(Decimal)

    def portfolio(number: int) -> Portfolio:
        ids = (
            [*prices]
            if draw(st.integers(0, 3)) == 0
            else [security.security_id for security in securities]
        )
        held = {name: draw(shares) for name in ids}
        return Portfolio(f"P{number}", draw(cash), held, prices)

    return securities, [portfolio(number) for number in range(draw(st.integers(1, 20)))]


@settings(max_examples=150, deadline=None)
@given(
    case=tight_books(),
    floor=st.sampled_from([Decimal(0), Decimal("12.3456"), Percent("5"), Percent("12.3456")]),
)
def test_a_cover_in_columns_is_the_answer_of_the_portfolio_alone(
    case: tuple[tuple[PricedTarget, ...], list[Portfolio]], floor: Decimal | Percent
):
    securities, portfolios = case
    options = RebalanceOptions(cash_floor=floor)
    alone = [
        complete_text(rebalance_all(securities, [portfolio], options)[0])
        for portfolio in portfolios
    ]

    answer = rebalance_block(securities, block_of(securities, portfolios), options)

    assert [complete_text(outcome) for outcome in answer.outcomes()] == alone
    together = rebalance_all(securities, portfolios, options)
    assert [complete_text(outcome) for outcome in together] == alone


def test_the_covers_of_a_book_are_in_columns():
    securities, portfolios, _ = book()
    whole = [
        portfolio for portfolio in portfolios if not digits_of(list(portfolio.holdings.values()))
    ]

    answer = rebalance_block(securities, block_of(securities, whole), FLOOR)

    found = [outcome for outcome in answer.outcomes() if isinstance(outcome, PortfolioOutcome)]
    covers = [
        outcome
        for outcome in found
        if outcome.certificate and outcome.certificate.method is Method.COVER
    ]
    in_columns = np.count_nonzero((answer.method == COVER) & (answer.status != BESIDE))
    assert len(covers) == in_columns > 50
    assert answer.count_methods()[Method.COVER] == in_columns
    for outcome in covers:
        assert outcome.certificate is not None
        assert outcome.certificate.binding[0].constraint == "cash_floor"
    rows = np.flatnonzero(answer.method == COVER).tolist()
    assert not answer.beside.keys() & set(rows)


def test_a_cover_lists_the_cash_floor_before_the_bands():
    prices = {A: Decimal(100), B: Decimal(60)}
    narrow = price_targets(model("0.08", A="0.16", B="0.8"), prices)
    account = Portfolio("P", Decimal(1000), {}, prices)

    outcome = rebalance_block(narrow, block_of(narrow, [account])).outcome(0)

    (alone,) = rebalance_all(narrow, [account])
    assert complete_text(outcome) == complete_text(alone)


@pytest.mark.parametrize(
    "options",
    [
        RebalanceOptions(fewest_trades=True),
        RebalanceOptions(do_not_buy=frozenset({A})),
        RebalanceOptions(lots={A: Decimal(2)}),
    ],
)
def test_options_leave_a_tight_row_to_a_search(options: RebalanceOptions):
    prices = {A: Decimal(100), B: Decimal(60)}
    securities = price_targets(model("0.3", A="0.5", B="0.45"), prices)
    accounts = [Portfolio(f"P{cash}", Decimal(cash), {}, prices) for cash in range(400, 800, 7)]

    answer = rebalance_block(securities, block_of(securities, accounts), options)

    assert COVER not in answer.method
    alone = [
        complete_text(rebalance_all(securities, [account], options)[0]) for account in accounts
    ]
    assert [complete_text(outcome) for outcome in answer.outcomes()] == alone


def test_a_cover_too_large_for_arrays_becomes_a_search(monkeypatch: pytest.MonkeyPatch):
    prices = {A: Decimal(100), B: Decimal(60)}
    securities = price_targets(model("0.3", A="0.5", B="0.45"), prices)
    accounts = [Portfolio(f"P{cash}", Decimal(cash), {}, prices) for cash in range(400, 800, 7)]
    block = block_of(securities, accounts)
    known = rebalance_block(securities, block)

    def find_none(*_: object) -> None:
        return None

    monkeypatch.setattr(cash_rows, "cover", find_none)

    answer = rebalance_block(securities, block)

    assert COVER in known.method
    assert COVER not in answer.method
    for row in np.flatnonzero(known.method == COVER).tolist():
        found, expected = answer.outcome(row), known.outcome(row)
        assert isinstance(found, PortfolioOutcome)
        assert isinstance(expected, PortfolioOutcome)
        assert (found.after, found.cash_after) == (expected.after, expected.cash_after)
        assert replace(found, certificate=None) == replace(expected, certificate=None)
        assert found.status in (Status.REBALANCED, Status.IN_BAND)


def test_an_interrupted_budget_stops_the_covers(monkeypatch: pytest.MonkeyPatch):
    prices = {A: Decimal(100), B: Decimal(60)}
    securities = price_targets(model("0.3", A="0.5", B="0.45"), prices)
    accounts = [Portfolio(f"P{cash}", Decimal(cash), {}, prices) for cash in range(400, 800, 7)]
    budget = TimeBudget()

    def interrupt(*_: object) -> None:
        budget.interrupt()

    monkeypatch.setattr(cash_rows, "cover", interrupt)

    with pytest.raises(SolverInterruptedError):
        rebalance_block(securities, block_of(securities, accounts), budget=budget)
