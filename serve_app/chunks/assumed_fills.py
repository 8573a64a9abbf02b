"""Assumed fills: holdings and cash as if the open orders of a portfolio were filled.

The option ``open_orders: COUNT`` asks for them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from optimization import EXACT, Side
from optimization.errors import PricesMissingError
from serve_app.chunks.fetch import ChunkInputs
from serve_app.orders.open_orders import LOOK_UP_FOR_S, OpenOrdersLookUp
from serve_app.resources import Resources
from serve_app.upstream.errors import OrdersPartlyFilledError, UpstreamUnavailableError
from serve_app.upstream.holdings.source import Balance, BalanceOrError
from serve_app.upstream.http_client import ASK_AGAIN_AFTER_S
from serve_app.upstream.order_service import PARTLY_FILLED
from storage.orders.order import Order


async def fetch_counted_orders(
    portfolio_ids: Sequence[str], resources: Resources
) -> Mapping[str, Sequence[Order]]:
    """Look up the open orders of portfolios that count them, by portfolio id.

    Raises UpstreamUnavailableError, as the fetch of holdings does.
    """
    orders = await resources.open_orders.list_orders(portfolio_ids)
    if orders:
        if not await OpenOrdersLookUp(resources).look_up(orders):
            detail = f"open orders could not all be looked up within {LOOK_UP_FOR_S:g} s"
            raise UpstreamUnavailableError("order", detail, ASK_AGAIN_AFTER_S)
        orders = await resources.open_orders.list_orders(portfolio_ids)
    orders_by_portfolio: dict[str, list[Order]] = {}
    for order in orders:
        orders_by_portfolio.setdefault(order.portfolio_id, []).append(order)
    return orders_by_portfolio


def assume_fills(inputs: ChunkInputs, orders: Mapping[str, Sequence[Order]]) -> ChunkInputs:
    """Apply the orders to holdings and cash, at the prices of the rebalance."""
    balances = [
        _fill(balance, orders.get(portfolio_id, ()), inputs.prices)
        for portfolio_id, balance in zip(inputs.portfolio_ids, inputs.balances, strict=True)
    ]
    return replace(inputs, balances=balances)


def _fill(
    balance: BalanceOrError, orders: Sequence[Order], prices: Mapping[str, Decimal]
) -> BalanceOrError:
    if isinstance(balance, Exception) or not orders:
        return balance
    partly = (order.order_id for order in orders if order.service_status == PARTLY_FILLED)
    if ids := tuple(order_id for order_id in partly if order_id is not None):
        return OrdersPartlyFilledError(balance.portfolio_id, ids)
    if missing := {order.security_id for order in orders} - prices.keys():
        return PricesMissingError(tuple(sorted(missing)))
    cash, holdings = balance.cash, dict(balance.holdings)
    for order in orders:
        quantity = Decimal(order.quantity)
        if order.side is Side.SELL:
            quantity = quantity.copy_negate()  # because the minus sign rounds to 28 digits
        position = holdings.get(order.security_id, Decimal(0))
        holdings[order.security_id] = EXACT.add(position, quantity)
        cash = EXACT.subtract(cash, EXACT.multiply(quantity, prices[order.security_id]))
    return Balance(balance.portfolio_id, cash, holdings)
