"""Tables of orders."""

from collections.abc import Iterable

from rich.table import Table

from serve_app.cli.names import NO_NAMES, Names
from serve_app.cli.output import make_table
from serve_app.cli.tables.formats import (
    format_counts,
    format_moment,
)
from serve_app.client.responses.orders import OrderLine, OrderOfRebalance, OrderSubmission

COLUMNS = (
    "portfolio",
    "name",
    "",
    "security",
    "ticker",
    "quantity",
    "status",
    "there",
    "order",
    "message",
)


def tabulate_submission(submission: OrderSubmission) -> Table:
    """Tabulate the state of a submission in one row."""
    counts = {status: count for status, count in submission.counts.items() if count}
    row = (
        submission.rebalance_id,
        submission.status,
        submission.number_of_transactions,
        format_counts(counts),
    )
    return make_table("Hand-over", ("rebalance", "status", "transactions", "orders"), [row])


def tabulate_orders(submission: OrderSubmission, names: Names = NO_NAMES) -> Table:
    """Tabulate orders with the last answer of the order service."""
    return make_table(
        "Orders", COLUMNS, [_format_cells(order, names) for order in submission.orders]
    )


def tabulate_all_orders(orders: Iterable[OrderOfRebalance], names: Names = NO_NAMES) -> Table:
    """Tabulate orders of several rebalances."""
    rows = [
        (row.rebalance_id, format_moment(row.rebalance_date), *_format_cells(row, names))
        for row in orders
    ]
    return make_table("Orders", ("rebalance", "started", *COLUMNS), rows)


def _format_cells(order: OrderLine, names: Names) -> tuple[object, ...]:
    return (
        order.portfolio_id,
        names.portfolios.get(order.portfolio_id),
        order.transaction_type,
        order.security_id,
        names.tickers.get(order.security_id),
        order.quantity,
        order.status,
        order.service_status,
        None if order.order_id is None else str(order.order_id),
        order.message,
    )
