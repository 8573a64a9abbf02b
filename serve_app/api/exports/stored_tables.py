"""Tables of stored rebalances, read and converted page by page."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

from serve_app.api.exports.arrow_columns import outcome_table, transaction_table
from serve_app.api.exports.arrow_tables import Tables
from serve_app.ports.stored_rebalances import StoredRebalances
from storage.errors import NotFoundError
from storage.outcome_reader import OutcomePage
from storage.rebalance import Rebalance, RebalanceStatus


async def outcome_tables(store: StoredRebalances, rebalance: Rebalance) -> Tables:
    """Read the outcomes of a rebalance as tables."""
    async for page in _pages(store, rebalance, await store.read_outcome_page(rebalance, 0)):
        yield await asyncio.to_thread(outcome_table, rebalance.rebalance_id, page)


async def transaction_tables(
    store: StoredRebalances, rebalance: Rebalance, first: OutcomePage, trade_date: str
) -> Tables:
    """Read the transactions of a rebalance as tables; ``first`` is the first page of outcomes."""
    convert = partial(transaction_table, rebalance.rebalance_id, trade_date=trade_date)
    async for page in _pages(store, rebalance, first):
        yield await asyncio.to_thread(convert, page)


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
