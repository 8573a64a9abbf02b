"""The service from Python over HTTP; loads neither Ray nor the database driver nor the solver.

from serve_app.client import Client
"""

from serve_app.client.call import Options, PortfolioOptions
from serve_app.client.clients import AsyncClient, Client
from serve_app.client.endpoints.trades import TradeFilter
from serve_app.client.errors import ProblemError
from serve_app.client.models import Model, PortfolioOutcome, Position
from serve_app.client.run_models import ChunkDone, Run

__all__ = [
    "AsyncClient",
    "ChunkDone",
    "Client",
    "Model",
    "Options",
    "PortfolioOptions",
    "PortfolioOutcome",
    "Position",
    "ProblemError",
    "Run",
    "TradeFilter",
]
