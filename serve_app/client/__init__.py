"""The service from Python over HTTP; loads neither Ray nor the database driver nor the solver.

from serve_app.client import Client
"""

from serve_app.client.call import Options, PortfolioOptions
from serve_app.client.clients import AsyncClient, Client
from serve_app.client.endpoints.trades import TradeFilter
from serve_app.client.errors import ProblemError
from serve_app.client.responses.models import Model, Position
from serve_app.client.responses.outcomes import PortfolioOutcome
from serve_app.client.responses.runs import ChunkDone, Run

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
