"""Drift of portfolios from their models."""

from serve_app.client.call import (
    Call,
    get,
)
from serve_app.client.responses.drift import DriftSummary, PortfolioDrift


def measure_portfolio(portfolio_id: str, *, model_id: str | None = None) -> Call[PortfolioDrift]:
    """Measure each security of a portfolio against its band, without a plan."""
    return get(PortfolioDrift, "portfolio", portfolio_id, "drift", model_id=model_id)


def measure_portfolios(model_id: str, *, limit: int = 1000) -> Call[tuple[DriftSummary, ...]]:
    """Measure the drift of the portfolios of a model, ``limit`` in a request."""
    return get(tuple[DriftSummary, ...], "model", model_id, "drift", limit=limit)
