"""market_app: the five services behind one address."""

import asyncio

from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from serve_app.simulator.http import json_response
from serve_app.simulator.ledger import Ledger
from serve_app.simulator.services.accounting import Accounting
from serve_app.simulator.services.fills import fill_routes
from serve_app.simulator.services.orders import Orders
from serve_app.simulator.services.portfolios import portfolio_routes
from serve_app.simulator.services.pricing import PriceBoard, pricing_routes
from serve_app.simulator.services.securities import security_routes
from serve_app.simulator.world import Market


def market_app(market: Market, latency_s: float = 0.0) -> ASGIApp:
    """Build an application with its own transactions, orders and count of price looks."""
    # The order of the routes counts, because the router tries frequent routes first.
    ledger, board, orders = Ledger(market), PriceBoard(market), Orders(market)
    routes = (
        *Accounting(ledger).routes(),
        *pricing_routes(board),
        *orders.routes(),
        *security_routes(market),
        *portfolio_routes(market),
        *fill_routes(orders, ledger, board),
    )
    unknown = json_response({"detail": "Not Found"}, 404)
    router = Router(routes, redirect_slashes=False, default=unknown)
    return _delay(router, latency_s) if latency_s > 0 else router


def _delay(app: ASGIApp, latency_s: float) -> ASGIApp:
    async def delay_and_call(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(latency_s)
        await app(scope, receive, send)

    return delay_and_call
