"""Tickers of securities."""

from typing_extensions import TypedDict

from serve_app.api.schemas.stored_fields import Identifier


class SecurityTicker(TypedDict):
    """A security and its ticker; null if unknown or the security service is down."""

    security_id: Identifier
    ticker: str | None
