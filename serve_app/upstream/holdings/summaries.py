"""Holdings from the portfolio accounting service, portfolio by portfolio."""

from collections.abc import Iterable, Mapping
from typing import TypeVar
from urllib.parse import quote

import stamina

from serve_app.concurrency import for_each
from serve_app.upstream.errors import (
    HoldingsMissingError,
    UpstreamContractError,
    UpstreamUnavailableError,
)
from serve_app.upstream.exact_values import read_decimal, read_integer, read_objects, read_text
from serve_app.upstream.holdings.balances import Row, build_balance, read_rows, sum_rows
from serve_app.upstream.holdings.source import Balance, BalanceOrError
from serve_app.upstream.http_client import Client, UpstreamHealth
from serve_app.upstream.retry_policy import Policy

POLICY = Policy(total_s=10.0, concurrency=16)
HEALTH = "/health/ready"
# The service silently truncates a summary after so many balances; cash may be one of them.
MAX_SUMMARY_ROWS = 1000
MAX_BALANCES = 100_000  # bound of a portfolio
PAGE = 1000
READINGS = 3
OneError = TypeVar("OneError", bound=Exception)
PORTFOLIO_ERRORS = (HoldingsMissingError, UpstreamContractError, UpstreamUnavailableError)


class _RowsMovedError(Exception):
    """Rows moved between the pages of one read."""


class AccountingService:
    """Source by one request per portfolio; never cached, because holdings must be fresh."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def read_holdings(self, portfolio_ids: Iterable[str]) -> Mapping[str, BalanceOrError]:
        """Read the balance of each portfolio, or the error for that portfolio alone."""
        ids = tuple(dict.fromkeys(portfolio_ids))
        balance_by_id: dict[str, BalanceOrError] = {}

        async def read(portfolio_id: str) -> None:
            try:
                balance_by_id[portfolio_id] = await self._read_balance(portfolio_id)
            except PORTFOLIO_ERRORS as error:
                balance_by_id[portfolio_id] = _detach(error)

        if ids and self._client.probes_next:
            # The first read is the probe and runs alone, because calls beside it are refused.
            await read(ids[0])
        remaining_ids = (portfolio_id for portfolio_id in ids if portfolio_id not in balance_by_id)
        await for_each(remaining_ids, read, self._client.policy.concurrency)
        return {portfolio_id: balance_by_id[portfolio_id] for portfolio_id in ids}

    async def check_health(self) -> UpstreamHealth:
        """Check whether the service is ready."""
        return await self._client.check_health(HEALTH)

    async def _read_balance(self, portfolio_id: str) -> Balance:
        path = f"/api/v1/portfolios/{quote(portfolio_id, safe='')}/summary"
        response = await self._client.get(path, accept=frozenset({200, 500}))
        if response.status_code == 500:
            # A second route decides, because a portfolio without balances is answered 500, too.
            if await self._is_empty(portfolio_id):
                raise HoldingsMissingError(portfolio_id)
            response = await self._client.get(path)
        summary = self._client.parse(response)
        with self._client.translate_read_errors(_describe_holdings(portfolio_id)):
            if read_text(summary.get("portfolioId", portfolio_id)) != portfolio_id:
                raise ValueError("they are those of another portfolio")
            rows = read_objects(summary["securities"])
            holdings = [
                (read_text(row["securityId"]), read_decimal(row["netQuantity"])) for row in rows
            ]
            balance = build_balance(portfolio_id, read_decimal(summary["cashBalance"]), holdings)
        if len(rows) + 1 >= MAX_SUMMARY_ROWS:
            return await self._read_all_balances(portfolio_id)
        return balance

    async def _is_empty(self, portfolio_id: str) -> bool:
        params = {"portfolio_id": portfolio_id, "limit": 1}
        answer = await self._client.get_json("/api/v1/balances", params)
        with self._client.translate_read_errors(_describe_holdings(portfolio_id)):
            return read_integer(answer["pagination"]["total"]) == 0

    async def _read_all_balances(self, portfolio_id: str) -> Balance:
        try:
            rows = await self._read_all_rows(portfolio_id)
        except _RowsMovedError:
            detail = f"the balances of portfolio {portfolio_id} change while they are read"
            raise UpstreamContractError(self._client.upstream, detail) from None
        with self._client.translate_read_errors(_describe_holdings(portfolio_id)):
            return sum_rows(portfolio_id, rows)

    @stamina.retry(on=_RowsMovedError, attempts=READINGS, timeout=None, wait_max=0)
    async def _read_all_rows(self, portfolio_id: str) -> list[Row]:
        rows, total = await self._read_pages(portfolio_id)
        # The count is compared, because pages are no snapshot: a moved row is missing or duplicate.
        if not len({row.row_id for row in rows}) == len(rows) == total:
            raise _RowsMovedError
        return rows

    async def _read_pages(self, portfolio_id: str) -> tuple[list[Row], int]:
        rows: list[Row] = []
        while len(rows) < MAX_BALANCES:
            params = {"portfolio_id": portfolio_id, "limit": PAGE, "offset": len(rows)}
            answer = await self._client.get_json("/api/v1/balances", params)
            with self._client.translate_read_errors(_describe_holdings(portfolio_id)):
                page, total = read_rows(answer, portfolio_id)
                more = answer["pagination"]["hasMore"] is True
            rows.extend(page)
            if not (page and more):
                return rows, total
        detail = f"portfolio {portfolio_id} has over {MAX_BALANCES:,} balances"
        raise UpstreamContractError(self._client.upstream, detail)


def _describe_holdings(portfolio_id: str) -> str:
    return f"the holdings of portfolio {portfolio_id}"


def _detach(error: OneError) -> OneError:
    """Drop the traceback and causes of an error, because their frames hold a whole answer."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
