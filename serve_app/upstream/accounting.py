"""Accounting: holdings from the portfolio accounting service, portfolio by portfolio."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from serve_app.upstream.client import Client
from serve_app.upstream.errors import (
    HoldingsMissingError,
    UpstreamContractError,
    UpstreamUnavailableError,
)
from serve_app.upstream.exact import exact
from serve_app.upstream.gather import for_each
from serve_app.upstream.holdings import Balance, Found
from serve_app.upstream.policy import Policy

POLICY = Policy(total_s=10.0, concurrency=16)
HEALTH = "/health/ready"
# A summary is cut, silently, after so many balances; cash may be one of them.
MOST_IN_SUMMARY = 1000
PAGE = 1000
READINGS = 3
OF_ONE_PORTFOLIO = (HoldingsMissingError, UpstreamContractError, UpstreamUnavailableError)
UNREADABLE = (ArithmeticError, KeyError, TypeError, ValueError)


class Accounting:
    """Holdings by one request per portfolio, never cached: they must be fresh."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def holdings(self, portfolio_ids: Iterable[str]) -> Mapping[str, Found]:
        """The balance of each portfolio, or the error of that one portfolio."""
        wanted = tuple(dict.fromkeys(portfolio_ids))
        found: dict[str, Found] = {}

        async def read(portfolio_id: str) -> None:
            try:
                found[portfolio_id] = await self._balance(portfolio_id)
            except OF_ONE_PORTFOLIO as error:
                found[portfolio_id] = error.with_traceback(None)  # frees the frames it holds

        if wanted and self._client.probes_next:
            # beside the probe the others would be refused
            await read(wanted[0])
        waiting = (portfolio_id for portfolio_id in wanted if portfolio_id not in found)
        await for_each(waiting, read, self._client.policy.concurrency)
        return {portfolio_id: found[portfolio_id] for portfolio_id in wanted}

    async def reachable(self) -> None:
        """Raise if the service is not ready."""
        await self._client.reachable(HEALTH)

    async def _balance(self, portfolio_id: str) -> Balance:
        path = f"/api/v1/portfolios/{quote(portfolio_id, safe='')}/summary"
        response = await self._client.get(path, accept=frozenset({200, 500}))
        if response.status_code == 500:
            # 500 stands for "no balances", too: only a portfolio that has some makes it a fault
            if await self._is_empty(portfolio_id):
                raise HoldingsMissingError(portfolio_id)
            response = await self._client.get(path)
        summary = self._client.parsed(response)
        try:
            rows = summary["securities"]
            if len(rows) + 1 >= MOST_IN_SUMMARY:
                return await self._all_balances(portfolio_id)
            held = ((row["securityId"], exact(row["netQuantity"])) for row in rows)
            return Balance(portfolio_id, exact(summary["cashBalance"]), _without_zero(held))
        except UNREADABLE as error:
            raise self._broken(portfolio_id, error) from error

    async def _is_empty(self, portfolio_id: str) -> bool:
        params = {"portfolio_id": portfolio_id, "limit": 1}
        answer = await self._client.json("/api/v1/balances", params)
        try:
            return answer["pagination"]["total"] == 0
        except UNREADABLE as error:
            raise self._broken(portfolio_id, error) from error

    async def _all_balances(self, portfolio_id: str) -> Balance:
        for _ in range(READINGS):
            rows, total = await self._paged(portfolio_id)
            # the pages are no snapshot: a row that moved between them is missing or there twice
            if len({row["id"] for row in rows}) == len(rows) == total:
                cash = sum((net(row) for row in rows if _is_cash(row)), Decimal(0))
                held = ((row["securityId"], net(row)) for row in rows if not _is_cash(row))
                return Balance(portfolio_id, cash, _without_zero(held))
        detail = f"the balances of portfolio {portfolio_id} change while they are read"
        raise UpstreamContractError(self._client.upstream, detail)

    async def _paged(self, portfolio_id: str) -> tuple[list[dict[str, Any]], int]:
        rows: list[dict[str, Any]] = []
        while True:
            params = {"portfolio_id": portfolio_id, "limit": PAGE, "offset": len(rows)}
            answer = await self._client.json("/api/v1/balances", params)
            rows.extend(answer["balances"])
            if not (answer["balances"] and answer["pagination"]["hasMore"]):
                return rows, answer["pagination"]["total"]

    def _broken(self, portfolio_id: str, error: Exception) -> UpstreamContractError:
        detail = f"the holdings of portfolio {portfolio_id} could not be read ({error!r})"
        return UpstreamContractError(self._client.upstream, detail)


def _is_cash(row: Mapping[str, Any]) -> bool:
    """Whether a row of /balances is the cash of its portfolio."""
    return row.get("securityId") is None


def net(row: Mapping[str, Any]) -> Decimal:
    """Long minus short of a row of /balances."""
    return exact(row["quantityLong"]) - exact(row["quantityShort"])


def _without_zero(held: Iterable[tuple[str, Decimal]]) -> dict[str, Decimal]:
    return {security_id: shares for security_id, shares in held if shares != 0}
