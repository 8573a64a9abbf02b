"""Port of the drift of portfolios from their models."""

from abc import abstractmethod
from typing import Protocol

from optimization import DriftSummary, Model, PortfolioDrift
from serve_app.ports.port import repeatable


class DriftMeasurement(Protocol):
    """Drift of portfolios at the prices and holdings of now, without a plan."""

    @repeatable
    @abstractmethod
    async def measure_portfolio(
        self, portfolio_id: str, model_id: str | None
    ) -> tuple[Model, PortfolioDrift]:
        """Measure one portfolio against this model, or against the newest model that it follows."""
        ...

    @repeatable
    @abstractmethod
    async def measure_portfolios(
        self, model_id: str, offset: int, limit: int
    ) -> tuple[tuple[DriftSummary, ...], int]:
        """Measure one page of the portfolios that follow a model; also return the number of all."""
        ...
