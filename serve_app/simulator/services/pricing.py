"""The simulated pricing service: a new sample of every price at every look."""

from itertools import count
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serve_app.simulator.http import JSON, constant_endpoint, json_response
from serve_app.simulator.listings import Listing
from serve_app.simulator.world import Market

DATE = "2018-01-22"


def pricing_routes(market: Market) -> list[Route]:
    """Its routes; looks are numbered from 0, so a market answers the same looks the same way."""
    looks = count()

    async def prices(_: Request) -> Response:
        rows = (_row(*priced) for priced in enumerate(market.prices(next(looks)), 1))
        return Response(f"[{','.join(rows)}]", media_type=JSON)

    async def price(request: Request) -> Response:
        ticker: str = request.path_params["ticker"]
        for number, priced in enumerate(market.prices(next(looks)), 1):
            if priced[0].ticker == ticker:
                return Response(_row(number, priced), media_type=JSON)
        return json_response(_not_found(ticker), 404)

    health = constant_endpoint({"status": "UP"})
    return [
        Route("/api/v1/prices", prices),
        Route("/api/v1/price/{ticker}", price),
        Route("/actuator/health/liveness", health),
        Route("/actuator/health/readiness", health),
    ]


def _row(number: int, priced: tuple[Listing, int]) -> str:
    listing, cents = priced
    price = f"{cents // 100}.{cents % 100:02d}"
    # what the service calls volume is the standard deviation, cut to a whole number
    volume = int(listing.quote.price_std) if listing.quote else 0
    return (
        f'{{"id":{number},"ticker":"{listing.ticker}","date":"{DATE}","open":{price},'
        f'"close":{price},"high":{price},"low":{price},"volume":{volume}}}'
    )


def _not_found(ticker: str) -> dict[str, Any]:
    return {
        "timestamp": "2018-01-22T00:00:00.000+00:00",
        "status": 404,
        "error": "Not Found",
        "path": f"/api/v1/price/{ticker}",
    }
