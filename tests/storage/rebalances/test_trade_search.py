"""Search of trades: what a filter over all of them would give, wherever they are stored."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import product

import numpy as np
import pytest
from bson import ObjectId
from numpy.typing import NDArray

from optimization import (
    STATUSES,
    BlockOutcome,
    Drift,
    DriftBand,
    OtherHoldings,
    PortfolioOutcome,
    PricedTarget,
    ScaledColumn,
    Side,
    Status,
)
from storage.mongo.sorting import ASCENDING, DESCENDING, Sort
from storage.rebalances.rebalance import Rebalance
from storage.rebalances.rebalance_store import RebalanceStore
from storage.rebalances.trade_search import BlockTrades, TradeFilter
from storage.rebalances.trade_totals import TradeTotal, TradeTotals
from tests.storage.rebalances.test_outcome_search import (
    store_in_columns,
    store_in_documents,
    store_in_one_document,
)
from tests.support.samples import make_id

pytestmark = pytest.mark.mongo
Trade = tuple[PortfolioOutcome, Drift]


def amount_of(trade: Trade) -> Decimal:
    return trade[1].trade_quantity * trade[1].security.price


def drift_of(trade: Trade) -> Decimal:
    outcome, drift = trade
    assert outcome.market_value is not None
    weight = drift.original_quantity * drift.security.price / outcome.market_value
    target = drift.security.weight
    assert isinstance(target, Decimal)
    return round(abs(weight - target), 12)


def named(trades: list[Trade]) -> list[tuple[str, str]]:
    return [(outcome.portfolio_id, drift.security.security_id) for outcome, drift in trades]


def drift_at(outcome: PortfolioOutcome, place: int) -> Drift:
    return [*outcome.drifts][place]


async def read_all(rebalances: RebalanceStore, rebalance: Rebalance) -> list[Trade]:
    outcomes = await rebalances.list_outcomes(rebalance)
    return [(outcome, drift) for outcome in outcomes for drift in outcome.drifts if drift.change]


def make_filters(trades: list[Trade]) -> tuple[TradeFilter, ...]:
    """Make filters of each kind, by what the trade in the middle has."""
    middle = trades[len(trades) // 2]
    portfolio, security = middle[0].portfolio_id, middle[1].security.security_id
    amount, drift = amount_of(middle), drift_of(middle)
    held = TradeFilter(
        is_held=True,
        held_portfolios=frozenset({trades[0][0].portfolio_id}),
        held_trades=frozenset({(portfolio, security)}),
    )
    return (
        TradeFilter(),
        TradeFilter(sides=frozenset({Side.BUY})),
        TradeFilter(sides=frozenset({Side.SELL})),
        TradeFilter(security_ids=frozenset({security})),
        TradeFilter(security_ids=frozenset()),
        TradeFilter(portfolio_ids=(portfolio, make_id("Z", 1))),
        TradeFilter(min_amount=amount),
        TradeFilter(max_amount=amount),
        TradeFilter(min_amount=amount + Decimal("0.000001"), sides=frozenset({Side.BUY})),
        TradeFilter(min_drift=drift),
        held,
        replace(held, is_held=False),
        replace(held, is_held=None),
    )


STORES = pytest.mark.parametrize(
    "store", [store_in_columns, store_in_documents, store_in_one_document]
)


@STORES
async def test_a_page_has_what_a_filter_over_all_trades_would_leave(
    rebalances: RebalanceStore, store: Callable[[RebalanceStore], Awaitable[Rebalance]]
) -> None:
    rebalance = await store(rebalances)
    trades = await read_all(rebalances, rebalance)
    keys = {"amount": amount_of, "drift": drift_of}
    orders: list[Sort] = [
        (),
        *[((name, way),) for name, way in product(keys, (ASCENDING, DESCENDING))],
    ]
    for wanted, sort in product(make_filters(trades), orders):
        expected = [trade for trade in trades if wanted.admits(*trade)]
        if sort:
            ((name, way),) = sort
            # sorted() keeps equals in their order, also from the greatest down.
            expected.sort(key=keys[name], reverse=way == DESCENDING)
        for offset, limit in ((0, 50), (5, 7), (len(expected), 5)):
            page, total = await rebalances.search_trades(rebalance, wanted, sort, offset, limit)
            found = [(outcome, drift_at(outcome, place)) for outcome, place in page]
            assert (named(found), total) == (
                named(expected[offset : offset + limit]),
                len(expected),
            )


async def test_a_bound_that_an_amount_or_a_drift_equals_admits_it(
    rebalances: RebalanceStore,
) -> None:
    run = await store_in_columns(rebalances)
    (one, *_) = await read_all(rebalances, run)
    amount, drift = amount_of(one), drift_of(one)
    equal = TradeFilter(min_amount=amount, max_amount=amount, min_drift=drift)

    found, _ = await rebalances.search_trades(run, equal, (), 0, 1)
    above = replace(equal, min_amount=amount + Decimal("0.01"))
    none, _ = await rebalances.search_trades(run, above, (), 0, 1)

    assert named([(outcome, drift_at(outcome, place)) for outcome, place in found]) == named([one])
    assert none == ()


async def test_a_rebalance_whose_outcomes_are_missing_has_no_trades(
    rebalances: RebalanceStore,
) -> None:
    run = await store_in_columns(rebalances)
    nowhere = replace(run, rebalance_id=str(ObjectId()))

    assert await rebalances.search_trades(nowhere, TradeFilter(), (), 0, 10) == ((), 0)


@STORES
async def test_totals_are_the_sums_over_all_trades_that_match(
    rebalances: RebalanceStore, store: Callable[[RebalanceStore], Awaitable[Rebalance]]
) -> None:
    rebalance = await store(rebalances)
    trades = await read_all(rebalances, rebalance)
    for wanted in make_filters(trades):
        matching = [trade for trade in trades if wanted.admits(*trade)]
        held = [trade for trade in matching if wanted.holds(*named([trade])[0])]
        sent = [trade for trade in matching if trade not in held]
        buys = [trade for trade in sent if trade[1].change > 0]
        sells = [trade for trade in sent if trade[1].change < 0]

        totals = await rebalances.total_trades(rebalance, wanted)

        assert totals == TradeTotals(
            len({outcome.portfolio_id for outcome, _ in sent}),
            *(
                TradeTotal(len(part), sum(map(amount_of, part), Decimal(0)))
                for part in (buys, sells, held)
            ),
        )


def test_amounts_beyond_64_bits_are_added_up_exactly() -> None:
    shares, prices = 2**60, (Decimal("0.0001"), Decimal("12.5"))
    after = np.full((9, 2), shares)
    after[:, 1] = 3
    block = make_block(prices, after)

    totals = TradeTotals()
    totals.add_columns(BlockTrades(block), TradeFilter())

    assert (totals.portfolios, totals.held, totals.sells) == (9, TradeTotal(), TradeTotal())
    amount = 9 * (shares * prices[0] + 3 * prices[1])
    assert totals.buys == TradeTotal(18, amount)


def make_block(prices: Sequence[Decimal], after: NDArray[np.int64]) -> BlockOutcome:
    """Make the outcomes of portfolios that held nothing, with these shares afterwards."""
    rows, width = after.shape
    band = DriftBand(Decimal(0), Decimal(0))
    securities = tuple(
        PricedTarget(make_id("S", at), price, Decimal("0.1"), band)
        for at, price in enumerate(prices)
    )
    amount = ScaledColumn(np.full(rows, 100), 0)
    return BlockOutcome(
        securities,
        tuple(make_id("P", at) for at in range(rows)),
        np.full(rows, STATUSES.index(Status.REBALANCED), dtype=np.int8),
        amount,
        amount,
        amount,
        amount,
        ScaledColumn(np.zeros((rows, width), np.int64), 0),
        ScaledColumn(after, 0),
        OtherHoldings.none(),
        {},
    )
