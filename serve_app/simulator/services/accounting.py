"""The simulated portfolio accounting service, with the traps of the real one."""

from bisect import bisect_right
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from optimization import EXACT
from serve_app.simulator.http import constant_endpoint, json_response
from serve_app.simulator.ledger import MAX_REMEMBERED_PORTFOLIOS, Ledger
from serve_app.simulator.population import Row
from serve_app.simulator.services.transactions import error_response, transaction_routes

MAX_SUMMARY_ROWS = 1000
ROWS_PER_PORTFOLIO = 4096  # row ids of portfolio k start after k times so many
UPDATED = "2025-06-06T12:17:03Z"


class Accounting:
    """Routes of the service. Balances are listed by portfolio and security only."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._market = ledger.market

    def routes(self) -> list[Route]:
        """List the routes, with the route of transactions."""
        return [
            Route("/api/v1/portfolios/{portfolio_id}/summary", self._summary),
            Route("/api/v1/balances", self._balances),
            Route("/api/v1/balance/{balance_id}", self._balance),
            Route("/api/v2", constant_endpoint({"message": "API v2 not implemented yet"}, 501)),
            *(Route(path, _health) for path in ("/health", "/health/live", "/health/ready")),
            *transaction_routes(self._ledger),
        ]

    async def _summary(self, request: Request) -> Response:
        portfolio_id = request.path_params["portfolio_id"]
        number = self._market.number(portfolio_id)
        rows = () if number is None else self._ledger.rows(number)
        # the real one means 404 but looks for another text in its own message
        if not rows:
            return error_response(500, "INTERNAL_ERROR", "Failed to retrieve portfolio summary")
        return json_response(summary_body(portfolio_id, rows))

    async def _balances(self, request: Request) -> Response:
        query = request.query_params
        limit, offset = _limit(query.get("limit", "")), _offset(query.get("offset", ""))
        portfolio_id, security_id = query.get("portfolio_id"), query.get("security_id")
        if portfolio_id:
            balances = self._list_balances(self._market.number(portfolio_id))
            if security_id:
                balances = [body for body in balances if body.get("securityId") == security_id]
            return _page(balances[offset : offset + limit], limit, offset, len(balances))
        if security_id == "null":  # is not cash: it is compared with the ids and matches none
            return _page([], limit, offset, 0)
        if security_id:
            return error_response(501, "NOT_SIMULATED", "security_id needs a portfolio_id here")
        total = self._ledger.count_earlier_rows(self._market.portfolios)
        return _page(self._list_balance_page(offset, limit), limit, offset, total)

    async def _balance(self, request: Request) -> Response:
        balance_id = request.path_params["balance_id"]
        if not balance_id.isdecimal():
            return error_response(400, "INVALID_ID", "Balance ID must be a valid integer")
        number, place = divmod(int(balance_id) - 1, ROWS_PER_PORTFOLIO)
        rows = self._ledger.rows(number) if 0 <= number < self._market.portfolios else ()
        if place >= len(rows):
            return error_response(404, "NOT_FOUND", "Balance not found")
        return json_response(_body(self._market.portfolio_id(number), number, place, rows[place]))

    def _list_balances(self, number: int | None) -> list[dict[str, Any]]:
        if number is None:
            return []
        places_and_rows = sorted(
            enumerate(self._ledger.rows(number)), key=lambda pair: _sort_key(pair[1])
        )
        portfolio_id = self._market.portfolio_id(number)
        return [_body(portfolio_id, number, place, row) for place, row in places_and_rows]

    def _list_balance_page(self, offset: int, limit: int) -> list[dict[str, Any]]:
        last = self._market.portfolios
        number = bisect_right(range(last + 1), offset, key=self._ledger.count_earlier_rows) - 1
        offset_in_portfolio = offset - self._ledger.count_earlier_rows(number)
        balances: list[dict[str, Any]] = []
        while number < last and len(balances) < offset_in_portfolio + limit:
            balances.extend(self._list_balances(number))
            number += 1
        return balances[offset_in_portfolio : offset_in_portfolio + limit]


async def _health(_: Request) -> Response:
    return json_response({"status": "healthy", "timestamp": _now()})


def summary_body(portfolio_id: str, rows: tuple[Row, ...]) -> dict[str, Any]:
    """The summary of a portfolio with these balances."""
    cash, count, securities = _summarize(rows)
    return {
        "portfolioId": portfolio_id,
        "cashBalance": cash,
        "securityCount": count,
        "lastUpdated": _now(),
        "securities": securities,
    }


@lru_cache(MAX_REMEMBERED_PORTFOLIOS)
def _summarize(rows: tuple[Row, ...]) -> tuple[str, int, orjson.Fragment]:
    """Sum up cash, number of securities and their JSON, within the bound of a summary.

    The result is cached, because otherwise the market would take a sixth of the processors that it
    shares with the service.
    """
    cash: int | Decimal = 0
    securities: list[dict[str, str]] = []
    for security_id, long, short in sorted(rows, key=_sort_key)[:MAX_SUMMARY_ROWS]:
        if security_id is None:
            cash = long
            continue
        securities.append(
            {
                "securityId": security_id,
                "quantityLong": format_plain(long),
                "quantityShort": format_plain(short),
                "netQuantity": format_plain(EXACT.subtract(long, short)),
                "lastUpdated": UPDATED,
            }
        )
    return format_plain(cash), len(securities), orjson.Fragment(orjson.dumps(securities))


def format_plain(number: int | Decimal) -> str:
    """Format a number as the service does: no exponent, no trailing zeros."""
    if isinstance(number, int):
        return str(number)
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _sort_key(row: Row) -> str:
    return row.security_id or ""


def _body(portfolio_id: str, number: int, place: int, row: Row) -> dict[str, Any]:
    security = {} if row.security_id is None else {"securityId": row.security_id}
    return {
        "id": number * ROWS_PER_PORTFOLIO + place + 1,
        "portfolioId": portfolio_id,
        **security,
        "quantityLong": format_plain(row.long),
        "quantityShort": format_plain(row.short),
        "lastUpdated": UPDATED,
        "version": 1,
    }


def _page(rows: list[dict[str, Any]], limit: int, offset: int, total: int) -> Response:
    pagination = {
        "limit": limit,
        "offset": offset,
        "total": total,
        "hasMore": offset + limit < total,
        "page": offset // limit + 1,
        "totalPages": -(-total // limit),
    }
    return json_response({"balances": rows, "pagination": pagination})


def _limit(text: str) -> int:
    # out of range or not a number: silently the default, as in the service
    limit = int(text) if text.isdecimal() else 50
    return limit if 1 <= limit <= 1000 else 50


def _offset(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z"
