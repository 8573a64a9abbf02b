"""Tables of orders."""

from rich.table import Table

from serve_app.cli.names import NO_NAMES, Names
from serve_app.cli.output import make_table
from serve_app.cli.tables.formats import (
    format_counts,
)
from serve_app.client.models import (
    OrderSubmission,
)


def tabulate_submission(found: OrderSubmission) -> Table:
    """Tabulate the state of a submission in one row."""
    counts = {status: count for status, count in found.counts.items() if count}
    row = (found.rebalance_id, found.status, found.number_of_transactions, format_counts(counts))
    return make_table("Hand-over", ("rebalance", "status", "transactions", "orders"), [row])


def tabulate_orders(found: OrderSubmission, names: Names = NO_NAMES) -> Table:
    """Tabulate orders with the last answer of the order service."""
    columns = (
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
    rows = [
        (
            each.portfolio_id,
            names.portfolios.get(each.portfolio_id),
            each.transaction_type,
            each.security_id,
            names.tickers.get(each.security_id),
            each.quantity,
            each.status,
            each.service_status,
            None if each.order_id is None else str(each.order_id),
            each.message,
        )
        for each in found.orders
    ]
    return make_table("Orders", columns, rows)
