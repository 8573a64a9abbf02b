"""The simulated security service."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from serve_app.simulator.http import (
    constant_endpoint,
    find_search_fault,
    json_response,
    search_page,
)
from serve_app.simulator.listings import Listing
from serve_app.simulator.world import Market

OBJECT_ID = re.compile(r"[0-9a-fA-F]{24}")
TICKER = re.compile(r"[A-Za-z0-9.-]{1,50}")
COMMON_STOCK = {
    "securityTypeId": "60c72b2f9b1d8e001c8e4d00",
    "abbreviation": "CS",
    "description": "Common Stock",
}


def security_routes(market: Market) -> list[Route]:
    """List the routes; they have securities without a price, but no prices without a security."""
    securities_listed = [listing for listing in market.listings() if listing.security_id]
    by_id = {str(listing.security_id): listing for listing in securities_listed}

    async def security(request: Request) -> Response:
        security_id = request.path_params["security_id"]
        if not market.natural_ids:
            if OBJECT_ID.fullmatch(security_id) is None:
                return PlainTextResponse("Internal Server Error", 500)
            security_id = security_id.lower()
        if listing := by_id.get(security_id):
            return json_response(_body(listing))
        return json_response({"detail": "Security not found"}, 404)

    async def securities(_: Request) -> Response:
        return json_response([_body(listing) for listing in securities_listed])

    async def search(request: Request) -> Response:
        query = request.query_params
        if fault := find_search_fault(query, "ticker", TICKER):
            return json_response({"detail": fault}, 400)
        matches = [listing for listing in securities_listed if _matches(listing, query)]
        return search_page(query, matches, "securities", partial(_body, version=2))

    return [
        Route("/api/v1/security/{security_id}", security),
        Route("/api/v1/securities", securities),
        Route("/api/v2/securities", search),
        Route("/health/liveness", constant_endpoint({"status": "alive"})),
        Route("/health/readiness", constant_endpoint({"status": "ready"})),
        Route("/health/startup", constant_endpoint({"status": "started"})),
    ]


def _matches(listing: Listing, query: Mapping[str, str]) -> bool:
    if exact := query.get("ticker"):
        # not escaped, as in the service: a dot matches any character
        return re.fullmatch(exact, listing.ticker, re.IGNORECASE) is not None
    return query.get("ticker_like", "").lower() in listing.ticker.lower()


def _body(listing: Listing, version: int = 1) -> dict[str, Any]:
    kind = COMMON_STOCK if version == 1 else {**COMMON_STOCK, "version": 1}
    return {
        "ticker": listing.ticker,
        "description": f"{listing.ticker} Corporation",
        "securityTypeId": COMMON_STOCK["securityTypeId"],
        "version": 1,
        "securityId": listing.security_id,
        "securityType": kind,
    }
