"""Tables from stored columns have the rows of tables from objects, to the last digit."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimization import BlockOutcome, OtherHoldings, PricedTarget, ScaledColumn, rebalance_block
from serve_app.api.exports.arrow_columns import outcome_table, transaction_table
from serve_app.api.exports.arrow_tables import outcomes_batch, transactions_batch
from serve_app.api.exports.transactions import list_lines
from storage.rebalances.outcome_reader import OutcomePage
from tests.optimization.support.columns import block_of
from tests.optimization.support.random_blocks import Case, cases
from tests.support.outcome_pages import REBALANCE, list_outcomes, store_and_read_page
from tests.support.samples import (
    BAND,
    make_answers,
    make_id,
    make_outcome,
    make_rebalance,
    make_securities,
)

DAY = "2026-11-26"


def table_or_error(made: Callable[[], Any]) -> Any:
    """Return a table, or the kind of its error: a number may have too many digits for a table."""
    try:
        return made()
    except pa.ArrowInvalid:
        return pa.ArrowInvalid


def require_same_tables(page: OutcomePage) -> tuple[Any, Any]:
    """Compare both tables of a page with those of its objects, and return them."""
    objects = list_outcomes(page)

    def known_outcomes() -> Any:
        return pa.Table.from_batches([outcomes_batch(REBALANCE, objects)])

    def known_trades() -> Any:
        return pa.Table.from_batches([transactions_batch([*list_lines(REBALANCE, objects, DAY)])])

    found = table_or_error(lambda: outcome_table(REBALANCE, page))
    trades = table_or_error(lambda: transaction_table(REBALANCE, page, DAY))
    assert found == table_or_error(known_outcomes)
    assert trades == table_or_error(known_trades)
    return found, trades


@settings(max_examples=200)
@given(case=cases(), data=st.data())
def test_a_page_of_columns_has_the_rows_of_its_objects(case: Case, data: st.DataObject) -> None:
    model, portfolios, digits, options = case
    solved = rebalance_block(model, block_of(model, portfolios, digits), options)
    first, end = sorted(data.draw(st.tuples(*[st.integers(0, len(portfolios))] * 2)))

    found, _ = require_same_tables(store_and_read_page(solved, 700, range(700 + first, 700 + end)))

    if found is not pa.ArrowInvalid:
        found.validate(full=True)


def of_one(**columns: Any) -> BlockOutcome:
    """Block of two portfolios whose amounts and shares are these columns."""
    rebalance = make_rebalance(2)
    return replace(make_answers(rebalance, range(2)), others=OtherHoldings.none(), **columns)


def units(*numbers: int, shape: tuple[int, ...] = (-1,)) -> Any:
    dtype = np.int64 if max(map(abs, numbers)) < 2**61 else np.object_
    return np.array(numbers, dtype=dtype).reshape(shape)


MAX_WHOLE_NUMBER = 10**20 - 1  # with 18 decimals


@pytest.mark.parametrize(
    ("numbers", "decimals"),
    [
        ((0, 1), 0),
        ((2**61 - 1, -(2**61) + 1), 4),
        ((2**61, -(2**63)), 18),
        ((2**63 - 1, -(2**63)), 0),
        ((2**63, -(2**64)), 0),
        ((MAX_WHOLE_NUMBER, -MAX_WHOLE_NUMBER), 0),
        ((MAX_WHOLE_NUMBER * 100, -MAX_WHOLE_NUMBER), 2),
        ((10**33, -(10**33)), 18),
        ((-(2**80), 5), 17),
        ((10**30, -(10**25)), 25),
        ((10**40, -(10**40)), 25),
        ((0, 0), 40),
    ],
)
def test_every_number_that_a_decimal128_holds_is_exact(
    numbers: tuple[int, int], decimals: int
) -> None:
    amounts = ScaledColumn(units(*numbers), decimals)
    shares = ScaledColumn(units(*numbers * 3, shape=(2, 3)), decimals)
    made = of_one(cash_before=amounts, market_value=amounts, before=shares, after=shares)

    found, trades = require_same_tables(store_and_read_page(made))

    assert found["cash_before_rebalance"].to_pylist() == [amounts.value(at) for at in range(2)]
    assert trades.num_rows == 0


@pytest.mark.parametrize(
    ("numbers", "decimals"),
    [
        ((MAX_WHOLE_NUMBER + 1, 0), 0),
        ((0, -(10**33)), 12),
        ((1, 10), 19),
        ((1, 0), 40),
        ((215 * 10**22, 0), 0),  # 2**128 units wrap to a number that fits
    ],
)
def test_a_number_that_would_be_rounded_or_cut_ends_the_table(
    numbers: tuple[int, int], decimals: int
) -> None:
    made = of_one(cash_after=ScaledColumn(units(*numbers), decimals))

    found, _ = require_same_tables(store_and_read_page(made))

    assert found is pa.ArrowInvalid


def test_trades_beyond_int64_are_exact_though_their_shares_fit() -> None:
    before = ScaledColumn(np.array([[-(2**63), 2**62, 0], [7, 0, 0]]), 0)
    after = ScaledColumn(np.array([[2**63 - 1, -(2**62), 0], [7, 0, 3]]), 0)

    model = tuple(replace(each, price=Decimal("0.5")) for each in make_securities())
    made = of_one(before=before, after=after, securities=model)

    _, trades = require_same_tables(store_and_read_page(made))

    assert trades["quantity"].to_pylist() == [2**64 - 1, 2**63, 3]
    assert trades["transaction_type"].to_pylist() == ["BUY", "SELL", "BUY"]
    assert trades["amount"].to_pylist()[0] == (2**64 - 1) * Decimal("0.5")


def test_fractions_and_holdings_outside_the_model_are_sold_down_to_what_is_below_a_share() -> None:
    rebalance = make_rebalance(4)
    held = ScaledColumn(np.array([25, 5, -5, 75]), 1)
    prices = Decimal("1.50"), Decimal("0.000001")
    rows, places = np.array([0, 0, 1, 3]), np.array([0, 1, 0, 1])
    ids = make_id("A", 1), make_id("X", 1)
    others = OtherHoldings(rows, places, held, ids, prices)
    shares = ScaledColumn(np.array([[105, -30, 7]] * 4), 1)
    after = ScaledColumn(np.array([[110, 0, 0]] * 4), 1)
    made = replace(make_answers(rebalance, range(4)), others=others, before=shares, after=after)

    found, trades = require_same_tables(store_and_read_page(made))

    assert [len(each) for each in found["positions"].to_pylist()] == [5, 4, 3, 4]
    last = found["positions"].to_pylist()[3][-1]
    assert last == {
        "security_id": ids[1],
        "price": prices[1],
        "original_quantity": Decimal("7.5"),
        "adjusted_quantity": Decimal("0.5"),
    }
    first = zip(
        *(trades[name].to_pylist()[:4] for name in ("security_id", "quantity")), strict=True
    )
    assert [*first] == [
        (make_id("S", 0), Decimal("0.5")),
        (make_id("S", 1), 3),
        (make_id("S", 2), Decimal("0.7")),
        (ids[0], 2),
    ]
    (short,) = (
        row
        for row in trades.to_pylist()
        if row["portfolio_id"] == make_id("P", 1) and row["security_id"] == ids[0]
    )
    assert (short["transaction_type"], short["quantity"]) == ("BUY", 1)


@pytest.mark.parametrize("beside", [(), (0,), (3, 511, 512, 900), tuple(range(1_000))])
def test_outcomes_beside_the_columns_stand_in_their_places(beside: tuple[int, ...]) -> None:
    rebalance = make_rebalance(1_000)
    made = make_answers(rebalance, range(1_000), {at: make_outcome(rebalance, at) for at in beside})

    found, trades = require_same_tables(store_and_read_page(made))

    assert found["portfolio_id"].to_pylist() == [make_id("P", at) for at in range(1_000)]
    assert trades["portfolio_id"].to_pylist() == sorted(trades["portfolio_id"].to_pylist())


def test_rows_before_and_behind_a_page_belong_to_others() -> None:
    rebalance = make_rebalance(1_000)
    made = make_answers(rebalance, range(1_000), {600: make_outcome(rebalance, 600)})

    found, _ = require_same_tables(store_and_read_page(made, 0, range(100, 601)))

    assert found["portfolio_id"].to_pylist() == [make_id("P", at) for at in range(100, 601)]


def test_a_page_without_outcomes_is_a_table_without_rows() -> None:
    found, trades = require_same_tables(OutcomePage(range(5, 9), (), ()))

    assert (found.num_rows, trades.num_rows) == (0, 0)


def test_a_model_without_securities_has_outcomes_without_positions() -> None:
    nothing = ScaledColumn(np.zeros((2, 0), dtype=np.int64), 0)
    none: tuple[PricedTarget, ...] = ()
    made = of_one(before=nothing, after=nothing, securities=none)

    found, trades = require_same_tables(store_and_read_page(made))

    assert (found["positions"].to_pylist(), trades.num_rows) == ([[], []], 0)


def test_a_price_of_many_digits_multiplies_beyond_int64_exactly() -> None:
    price = Decimal("123456789.123456789")
    shares = [ScaledColumn(units(0, at * 10**11, shape=(2, 1)), 0) for at in (0, 1)]
    model = (PricedTarget(make_id("S", 1), price, Decimal("0.1"), BAND),)
    made = of_one(before=shares[0], after=shares[1], securities=model)

    _, trades = require_same_tables(store_and_read_page(made))

    assert trades["amount"].to_pylist() == [price * 10**11]
