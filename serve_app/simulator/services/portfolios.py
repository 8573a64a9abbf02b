"""The simulated portfolio service."""

import re
from datetime import UTC, datetime
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serve_app.simulator.http import find_search_fault, json_response, search_page
from serve_app.simulator.world import FIRST_MADE_S, Market

OBJECT_ID = re.compile(r"[0-9a-fA-F]{24}")
NAME = re.compile(r"[A-Za-z0-9 _-]{1,200}")


def portfolio_routes(market: Market) -> list[Route]:
    """List the reading routes; a search by part of a name goes through all names."""

    async def portfolio(request: Request) -> Response:
        portfolio_id = request.path_params["portfolio_id"]
        if not market.natural_ids:
            if OBJECT_ID.fullmatch(portfolio_id) is None:
                return json_response({"detail": "Internal server error"}, 500)
            portfolio_id = portfolio_id.lower()
        number = market.number(portfolio_id)
        if number is None:
            return json_response({"detail": "Portfolio not found"}, 404)
        return json_response(_body(market, number))

    async def portfolios(_: Request) -> Response:
        return json_response([_body(market, number) for number in range(market.portfolios)])

    async def search(request: Request) -> Response:
        query = request.query_params
        if fault := find_search_fault(query, "name", NAME):
            return json_response({"detail": fault}, 400)
        numbers = _find_numbers(market, query.get("name"), query.get("name_like"))
        return search_page(query, numbers, "portfolios", partial(_body, market))

    return [
        Route("/api/v1/portfolio/{portfolio_id}", portfolio),
        Route("/api/v1/portfolios", portfolios),
        Route("/api/v2/portfolios", search),
        Route("/api/fast/portfolios/search", search),
    ]


def portfolio_name(number: int) -> str:
    """The name of a portfolio."""
    return f"Portfolio {number + 1}"


def _find_numbers(market: Market, exact: str | None, like: str | None) -> range | list[int]:
    newest_first = range(market.portfolios - 1, -1, -1)
    if exact is not None:
        # The name has the number, because a look through a million names takes seconds.
        text = exact.lower().removeprefix("portfolio ")
        number = int(text) - 1 if text.isdecimal() else -1
        same = portfolio_name(number).lower() == exact.lower()
        return [number] if same and number in newest_first else []
    if like is None:
        return newest_first
    return [number for number in newest_first if like.lower() in portfolio_name(number).lower()]


def _body(market: Market, number: int) -> dict[str, Any]:
    created_at = datetime.fromtimestamp(FIRST_MADE_S + number, UTC)
    return {
        "portfolioId": market.portfolio_id(number),
        "name": portfolio_name(number),
        "dateCreated": f"{created_at:%Y-%m-%dT%H:%M:%SZ}",
        "version": 1,
    }
