"""market_app: the five services behind one address."""

from starlette.types import ASGIApp

from serve_app.market.accounting import Accounting
from serve_app.market.asgi import Router
from serve_app.market.ledger import Ledger
from serve_app.market.market import Market
from serve_app.market.orders import Orders
from serve_app.market.portfolio import portfolio_routes
from serve_app.market.pricing import pricing_routes
from serve_app.market.security import security_routes


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
