"""Tables of stored rebalances, read and converted page by page."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Final

from serve_app.api.exports.arrow_columns import (
    list_broken_rules,
    outcome_table,
    transaction_table,
)
from serve_app.api.exports.arrow_tables import Table, Tables, add_rules
from serve_app.ports.stored_rebalances import StoredRebalances
from serve_app.rules.evaluation import RuleCheck
from storage.errors import NotFoundError
from storage.rebalances.outcome_reader import OutcomePage
from storage.rebalances.rebalance import Rebalance, RebalanceStatus

UNCHECKED: Final = (None, None)


async def outcome_tables(store: StoredRebalances, rebalance: Rebalance) -> Tables:
    """Read the outcomes of a rebalance as tables."""
    convert, rules = (
        partial(outcome_table, rebalance.rebalance_id),
        RuleCheck.from_rebalance(rebalance),
    )
    async for page in _pages(store, rebalance, await store.read_outcome_page(rebalance, 0)):
        yield await asyncio.to_thread(_with_rules, convert, rules, page)


async def transaction_tables(
    store: StoredRebalances, rebalance: Rebalance, first: OutcomePage, trade_date: str
) -> Tables:
    """Read the transactions of a rebalance as tables; ``first`` is the first page of outcomes."""
    convert = partial(transaction_table, rebalance.rebalance_id, trade_date=trade_date)
    rules = RuleCheck.from_rebalance(rebalance)
    async for page in _pages(store, rebalance, first):
        yield await asyncio.to_thread(_with_rules, convert, rules, page)


def _with_rules(
    convert: Callable[[OutcomePage], Table], rules: RuleCheck, page: OutcomePage
) -> Table:
    table, broken = convert(page), list_broken_rules(page, rules)
    if not broken:
        return add_rules(table, [UNCHECKED] * table.num_rows)
    return add_rules(
        table, [broken[portfolio_id] for portfolio_id in table["portfolio_id"].to_pylist()]
    )


async def _pages(
    store: StoredRebalances, rebalance: Rebalance, page: OutcomePage
) -> AsyncIterator[OutcomePage]:
    """Read the pages after the first, too.

    A completed rebalance has every outcome, so if some are missing at the end, it has been removed
    meanwhile: an error then keeps its table from looking whole.
    """
    count = page.count()
    yield page
    while page.ordinals.stop < rebalance.number_of_portfolios:
        page = await store.read_outcome_page(rebalance, page.ordinals.stop)
        count += page.count()
        yield page
    if rebalance.status is RebalanceStatus.COMPLETED and count < rebalance.number_of_portfolios:
        raise NotFoundError("rebalance", rebalance.rebalance_id)
