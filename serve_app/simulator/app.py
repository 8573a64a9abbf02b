"""market_app: the five services behind one address."""

from starlette.types import ASGIApp

from serve_app.simulator.http import Router
from serve_app.simulator.ledger import Ledger
from serve_app.simulator.services.accounting import Accounting
from serve_app.simulator.services.orders import Orders
from serve_app.simulator.services.portfolios import portfolio_routes
from serve_app.simulator.services.pricing import pricing_routes
from serve_app.simulator.services.securities import security_routes
from serve_app.simulator.world import Market


def market_app(market: Market, latency_s: float = 0.0) -> ASGIApp:
    """An application with its own transactions, orders and count of price looks."""
    services = (
        Accounting(Ledger(market)).routes(),
        pricing_routes(market),
        security_routes(market),
        portfolio_routes(market),
        Orders(market).routes(),
    )
    return Router(services, latency_s)
