"""The simulated pricing service: a new sample of every price at every look."""

from decimal import Decimal
from itertools import count
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serve_app.simulator.http import JSON, constant_endpoint, json_response
from serve_app.simulator.listings import Listing
from serve_app.simulator.world import Market

DATE = "2018-01-22"


class PriceBoard:
    """Prices of the market, a new sample at each look; looks are numbered from 0.

    The same looks have the same prices in every market of the same seed.
    """

    def __init__(self, market: Market) -> None:
        self._market = market
        self._looks = count()
        self._last: tuple[tuple[Listing, int], ...] = ()

    def look(self) -> tuple[tuple[Listing, int], ...]:
        """Draw a new sample: each listing with a price, and its price in cents."""
        self._last = self._market.prices(next(self._looks))
        return self._last

    def last(self) -> dict[str, Decimal]:
        """Return the last prices that anybody saw, by security."""
        return {
            listing.security_id: Decimal(cents).scaleb(-2)
            for listing, cents in self._last or self.look()
            if listing.security_id is not None
        }


def pricing_routes(board: PriceBoard) -> list[Route]:
    """List the routes."""

    async def prices(_: Request) -> Response:
        rows = (_row(*priced) for priced in enumerate(board.look(), 1))
        return Response(f"[{','.join(rows)}]", media_type=JSON)

    async def price(request: Request) -> Response:
        ticker: str = request.path_params["ticker"]
        for number, priced in enumerate(board.look(), 1):
            if priced[0].ticker == ticker:
                return Response(_row(number, priced), media_type=JSON)
        return json_response(_build_not_found(ticker), 404)

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
    # The service's volume is the standard deviation, cut to a whole number.
    volume = int(listing.quote.price_std) if listing.quote else 0
    return (
        f'{{"id":{number},"ticker":"{listing.ticker}","date":"{DATE}","open":{price},'
        f'"close":{price},"high":{price},"low":{price},"volume":{volume}}}'
    )


def _build_not_found(ticker: str) -> dict[str, Any]:
    return {
        "timestamp": "2018-01-22T00:00:00.000+00:00",
        "status": 404,
        "error": "Not Found",
        "path": f"/api/v1/price/{ticker}",
    }
