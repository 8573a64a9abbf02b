"""Paged holdings: balances of many portfolios, a thousand rows at a time."""

from collections.abc import Iterable, Mapping
from contextlib import suppress

from serve_app.concurrency import for_each
from serve_app.upstream.errors import UpstreamContractError
from serve_app.upstream.holdings.balances import Row, read_rows, sum_rows
from serve_app.upstream.holdings.source import BalanceOrError
from serve_app.upstream.holdings.summaries import PAGE, AccountingService
from serve_app.upstream.http_client import Client, UpstreamHealth

# A page of 1,000 balances takes about as long as so many summaries (benchmarks/bench_upstream.py).
SUMMARIES_PER_PAGE = 15
# A bound, because for every page the service counts and skips all earlier rows.
MAX_ROWS = 100_000
MAX_CONCURRENT_PAGES = 4


class PagedAccountingService:
    """Source that reads pages of all balances if they cost less than a request per portfolio.

    Pages are no snapshot. Portfolios at the edges of a page are read one by one; so are all
    portfolios if a row is missing or duplicate, because rows then moved between pages.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._single = AccountingService(client)

    async def read_holdings(self, portfolio_ids: Iterable[str]) -> Mapping[str, BalanceOrError]:
        """Read the balance of each portfolio, or the error for that portfolio alone."""
        ids = tuple(dict.fromkeys(portfolio_ids))
        try:
            whole = await self._read_whole_portfolios(len(ids))
        except UpstreamContractError:
            whole = {}  # because a bad row then fails only its own portfolio
        balance_by_id: dict[str, BalanceOrError] = {}
        for portfolio_id in whole.keys() & set(ids):
            with suppress(ValueError):  # because the single read reports the error
                balance_by_id[portfolio_id] = sum_rows(portfolio_id, whole[portfolio_id])
        balance_by_id.update(
            await self._single.read_holdings(
                portfolio_id for portfolio_id in ids if portfolio_id not in balance_by_id
            )
        )
        return {portfolio_id: balance_by_id[portfolio_id] for portfolio_id in ids}

    async def check_health(self) -> UpstreamHealth:
        """Check whether the service is ready."""
        return await self._single.check_health()

    async def _read_whole_portfolios(self, count: int) -> dict[str, list[Row]]:
        """Read the portfolios whose rows lie within one page; none if paging does not pay."""
        if count < SUMMARIES_PER_PAGE:
            return {}
        first, total = await self._read_page(0)
        if total > MAX_ROWS or total * SUMMARIES_PER_PAGE > count * PAGE:
            return {}
        pages, totals = [first], {total}

        async def read(offset: int) -> None:
            page, page_total = await self._read_page(offset)
            pages.append(page)
            totals.add(page_total)

        await for_each(range(PAGE, total, PAGE), read, MAX_CONCURRENT_PAGES)
        ids = [row.row_id for page in pages for row in page]
        consistent = totals == {len(ids)} and len(set(ids)) == len(ids)
        return _select_whole_portfolios(pages) if consistent else {}

    async def _read_page(self, offset: int) -> tuple[list[Row], int]:
        params = {"sortby": "portfolio_id,security_id", "limit": PAGE, "offset": offset}
        answer = await self._client.get_json("/api/v1/balances", params)
        with self._client.translate_read_errors("a page of balances"):
            return read_rows(answer)


def _select_whole_portfolios(pages: Iterable[list[Row]]) -> dict[str, list[Row]]:
    whole: dict[str, list[Row]] = {}
    for page in filter(None, pages):
        edges = (page[0].portfolio_id, page[-1].portfolio_id)
        for row in page:
            if row.portfolio_id not in edges:
                whole.setdefault(row.portfolio_id, []).append(row)
    return whole
