"""The simulated market: five GlobeCo services in one ASGI application, from a seed.

``Market`` is the deterministic world, ``market_app`` its HTTP contract (the real services' routes,
bodies and quirks), ``serving`` and ``run`` put it on a port. Imports no Ray and no numpy.
"""

from serve_app.simulator.app import market_app
from serve_app.simulator.population import KindFractions
from serve_app.simulator.server import run, serve_in_loop
from serve_app.simulator.world import Market, Strategy

__all__ = ["KindFractions", "Market", "Strategy", "market_app", "run", "serve_in_loop"]
