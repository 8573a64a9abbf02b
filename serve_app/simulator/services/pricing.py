"""The simulated pricing service: a new sample of every price at every look."""

from itertools import count
from typing import Any

from serve_app.simulator.http import Answer, Question, Routes, answer
from serve_app.simulator.listings import Listing
from serve_app.simulator.world import Market

DATE = "2018-01-22"


def pricing_routes(market: Market) -> Routes:
    """Its routes; looks are numbered from 0, so a market answers the same looks the same way."""
    looks = count()

    def prices(_: Question) -> Answer:
        rows = (_row(*priced) for priced in enumerate(market.prices(next(looks)), 1))
        return Answer(200, f"[{','.join(rows)}]".encode())

    def price(question: Question) -> Answer:
        ticker = question.parts[0]
        for number, priced in enumerate(market.prices(next(looks)), 1):
            if priced[0].ticker == ticker:
                return Answer(200, _row(number, priced).encode())
        return answer(_not_found(ticker), 404)

    def health(_: Question) -> Answer:
        return answer({"status": "UP"})

    return {
        "GET /api/v1/prices": prices,
        "GET /api/v1/price/{}": price,
        "GET /actuator/health/liveness": health,
        "GET /actuator/health/readiness": health,
    }


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
