"""POST /simulation/fills: the trade services of the simulated market, which no real service has.

It fills every open order whole, at the last prices that the pricing service answered, and books the
shares and the cash of each fill at the accounting service.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from optimization import EXACT
from serve_app.simulator.http import json_response
from serve_app.simulator.ledger import EFFECTS, Ledger, LedgerFullError
from serve_app.simulator.services.accounting import format_plain
from serve_app.simulator.services.orders import Orders
from serve_app.simulator.services.pricing import PriceBoard

FILLS_PATH = "/simulation/fills"


def fill_routes(orders: Orders, ledger: Ledger, board: PriceBoard) -> list[Route]:
    """List the route, which answers the numbers of filled and open orders."""

    async def fill(_: Request) -> Response:
        amount_by_side = {"BUY": Decimal(0), "SELL": Decimal(0)}
        count, prices = 0, board.last()
        open_orders = orders.open_orders()
        for order in open_orders:
            amount = _fill(order, ledger, prices)
            if amount is None:
                continue
            orders.mark_filled(order)
            count += 1
            side = order["orderType"]["abbreviation"]
            amount_by_side[side] = amount_by_side.get(side, Decimal(0)) + amount
        amounts = {side: format_plain(amount) for side, amount in amount_by_side.items()}
        return json_response(
            {"filled": count, "open": len(open_orders) - count, "amounts": amounts}
        )

    return [Route(FILLS_PATH, fill, methods=["POST"])]


def _fill(
    order: Mapping[str, Any], ledger: Ledger, prices: Mapping[str, Decimal]
) -> Decimal | None:
    """Book one order; return its amount, or None for an order that finds no other side."""
    security_id = order["security"]["securityId"]
    number = ledger.market.number(order["portfolio"]["portfolioId"])
    kind, price = order["orderType"]["abbreviation"], prices.get(security_id)
    if number is None or price is None or kind not in EFFECTS:
        return None
    quantity = Decimal(order["quantity"])
    try:
        ledger.post(number, f"order {order['id']}", kind, security_id, quantity, price)
    except LedgerFullError:
        return None
    return EXACT.multiply(quantity, price)
