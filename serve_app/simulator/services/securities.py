"""The simulated security service."""

import re
from typing import Any

from serve_app.simulator.http import JSON, Answer, Question, Routes, answer, paged
from serve_app.simulator.listings import Listing
from serve_app.simulator.world import Market

TEXT = (b"content-type", b"text/plain; charset=utf-8")
OBJECT_ID = re.compile(r"[0-9a-fA-F]{24}")
TICKER = re.compile(r"[A-Za-z0-9.-]{1,50}")
COMMON_STOCK = {
    "securityTypeId": "60c72b2f9b1d8e001c8e4d00",
    "abbreviation": "CS",
    "description": "Common Stock",
}


def security_routes(market: Market) -> Routes:
    """Its routes; securities without a price are there, prices without a security are not."""
    listed = [one for one in market.listings() if one.security_id]
    by_id = {str(one.security_id): one for one in listed}

    def security(question: Question) -> Answer:
        wanted = question.parts[0]
        if OBJECT_ID.fullmatch(wanted) is None:
            return Answer(500, b"Internal Server Error", TEXT)
        if one := by_id.get(wanted.lower()):
            return answer(_body(one))
        return answer({"detail": "Security not found"}, 404)

    def securities(_: Question) -> Answer:
        return answer([_body(one) for one in listed])

    def search(question: Question) -> Answer:
        query = question.query
        if complaint := _complaint(query.get("ticker"), query.get("ticker_like")):
            return answer({"detail": complaint}, 400)
        matching = [one for one in listed if _matches(one, question)]
        try:
            limit, offset, pagination = paged(query, len(matching))
        except ValueError as error:
            return answer({"detail": [{"loc": ["query", "limit"], "msg": str(error)}]}, 422)
        rows = [_body(one, version=2) for one in matching[offset : offset + limit]]
        return answer({"securities": rows, "pagination": pagination})

    return {
        "GET /api/v1/security/{}": security,
        "GET /api/v1/securities": securities,
        "GET /api/v2/securities": search,
        "GET /health/liveness": lambda _: Answer(200, b'{"status":"alive"}', JSON),
        "GET /health/readiness": lambda _: Answer(200, b'{"status":"ready"}', JSON),
        "GET /health/startup": lambda _: Answer(200, b'{"status":"started"}', JSON),
    }


def _matches(listing: Listing, question: Question) -> bool:
    if exact := question.query.get("ticker"):
        # not escaped, as in the service: a dot matches any character
        return re.fullmatch(exact, listing.ticker, re.IGNORECASE) is not None
    return question.query.get("ticker_like", "").lower() in listing.ticker.lower()


def _complaint(exact: str | None, like: str | None) -> str | None:
    if exact is not None and like is not None:
        return "Only one search parameter allowed: ticker or ticker_like"
    given = exact if exact is not None else like
    if given is not None and TICKER.fullmatch(given) is None:
        return "Invalid ticker format"
    return None


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
